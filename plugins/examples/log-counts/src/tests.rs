use isinglass_plugin::testing::Table;

use super::*;

fn plugin(config: &str) -> LogCounts {
    LogCounts::configure(Config::parse(config).unwrap()).unwrap()
}

fn batch(plugin: &LogCounts) -> Batch {
    let requests: Vec<Request> = Logs::REQUESTS.iter().cloned().chain(plugin.further_requests()).collect();
    Table::new(&requests, Shape::Logs, 4)
        .text("service", &["shop", "shop", "cart", "shop"])
        .nullable_text("severity", &[Some("info"), Some("error"), None, Some("info")])
        .nullable_text("event_name", &[None, Some("a"), None, None])
        .text(
            "body",
            &[
                "request done status=200 took=1.5",
                r#"{"msg":"request failed","status":"500","took":2}"#,
                "took=1",
                "request done status=200 took=soon",
            ],
        )
        .batch()
}

/// `label=value … values` of each series.
fn counted(config: &str) -> Vec<String> {
    let plugin = plugin(config);
    let batch = batch(&plugin);
    let deltas = plugin.derive(&batch);
    let value = |label: &isinglass_plugin::Label, series: usize| {
        let texts = match &label.values {
            LabelValues::Own(texts) => texts,
            LabelValues::Input(slot) => match &batch.column(*slot).unwrap().data {
                isinglass_plugin::Data::Dictionary { values, .. } => values,
                _ => panic!("a dictionary"),
            },
        };
        let key = label.keys[series] as usize;
        let range = texts.offsets[key] as usize..texts.offsets[key + 1] as usize;
        std::str::from_utf8(&texts.data[range]).unwrap().to_owned()
    };
    let text = |series: usize| {
        let labels = deltas.labels().iter().map(|label| format!("{}={}", label.name, value(label, series)));
        let values = deltas.increments().iter().map(|increments| increments.values[series].to_string());
        labels.chain(values).collect::<Vec<_>>().join(" ")
    };
    (0..deltas.series() as usize).map(text).collect()
}

#[test]
fn by_service_and_severity() {
    assert!(plugin("").further_requests().is_empty(), "lines are not read for nothing");
    assert_eq!(
        counted(""),
        ["service=shop severity=info 2", "service=shop severity=error 1", "service=cart severity= 1"]
    );
}

#[test]
fn labels_fields_and_sums() {
    let config =
        r#"{"labels": ["event_name"], "fields": ["status"], "sums": [{"field": "took", "metric": "t"}]}"#;
    assert_eq!(plugin(config).metrics()[1].name, "t");
    assert_eq!(
        counted(config),
        [
            "service=shop severity=info event_name= status=200 2 1.5",
            "service=shop severity=error event_name=a status=500 1 2",
            "service=cart severity= event_name= status= 1 1",
        ]
    );
}

#[test]
fn only_what_is_asked_for() {
    assert_eq!(counted(r#"{"services": ["cart", "x"]}"#), ["service=cart severity= 1"]);
    assert_eq!(counted(r#"{"severities": ["error"]}"#), ["service=shop severity=error 1"]);
    assert_eq!(counted(r#"{"contains": ["request", "done"]}"#), ["service=shop severity=info 2"]);
    let config = r#"{"equals": [{"field": "status", "value": "500"}]}"#;
    assert_eq!(counted(config), ["service=shop severity=error 1"]);
    assert_eq!(counted(r#"{"contains": ["nowhere"]}"#), Vec::<String>::new());
}

#[test]
fn configurations_are_checked() {
    let fault = |text: &str| LogCounts::configure(Config::parse(text).unwrap()).unwrap_err();
    assert_eq!(fault(r#"{"labels": ["a.b"], "fields": ["service"]}"#), "label \"service\" is given twice");
    assert_eq!(fault(r#"{"sums": [{"field": "a"}]}"#), "sums[0].metric is missing");
    let many: Vec<String> = (0..17).map(|at| format!("\"f{at}\"")).collect();
    assert_eq!(
        fault(&format!("{{\"fields\": [{}]}}", many.join(","))),
        "there are more than 16 labels or sums"
    );
}
