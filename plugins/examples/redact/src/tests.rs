use isinglass_plugin::testing::Table;

use super::*;

fn plugin(config: &str) -> Redact {
    Redact::configure(Config::parse(config).unwrap()).unwrap()
}

type Texts<'a> = &'a [(&'a str, &'a [&'a str])];

fn edits(plugin: &Redact, shape: Shape, rows: usize, offsets: (&str, &[usize]), texts: Texts<'_>) -> Edits {
    let requests = plugin.further_requests();
    let mut table = Table::new(&requests, shape, rows).offsets(offsets.0, offsets.1);
    for (name, values) in texts {
        table = table.text(name, values);
    }
    let batch = table.batch();
    let mut edits = Edits::of(batch.rows);
    plugin.transform(&batch, &mut edits);
    edits
}

#[test]
fn values_are_masked_by_key_by_prefix_and_by_look() {
    let plugin = plugin(r#"{"keys": ["password"], "prefixes": ["secret."], "emails": true, "mask": "*"}"#);
    let texts: Texts<'_> = &[
        ("body", &["mail to ann@example.org", "fine"]),
        ("attr.key", &["password", "a", "secret.x", "a"]),
        ("attr.value", &["\"p\"", "1", "[1]", "\"x bob@example.org\""]),
    ];
    let mut edits = edits(&plugin, Shape::Logs, 2, ("attr.offsets", &[3, 1]), texts);
    assert_eq!(edits.text("body").get(0), Some("mail to *"));
    assert_eq!(edits.text("body").get(1), None);
    let changed: Vec<_> =
        (0..4).map(|entry| edits.pairs(Pairs::Attributes).changed(entry).map(str::to_owned)).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(changed, [text("\"*\""), None, text("\"*\""), text("\"x *\"")]);
}

#[test]
fn spans_are_dropped_by_name() {
    let plugin = plugin(r#"{"drop_spans": ["GET /healthz"]}"#);
    let spans = edits(&plugin, Shape::Spans, 2, ("", &[]), &[("name", &["GET /", "GET /healthz"])]);
    assert_eq!(spans.drops().rows(), [0, 1]);
    assert_eq!(spans.drops().reasons()[0].message, "spans GET /healthz are not wanted");
    assert!(plugin.further_requests().iter().all(|request| request.shape == Shape::Spans));
}

#[test]
fn labels_are_renamed_removed_and_masked() {
    let plugin = plugin(r#"{"keys": ["user"], "remove": ["pod"], "rename": ["env=environment"]}"#);
    let texts: Texts<'_> = &[("label.name", &["__name__", "env", "pod", "user"])];
    let mut edits = edits(&plugin, Shape::Series, 1, ("label.offsets", &[4]), texts);
    let labels = edits.pairs(Pairs::Labels);
    assert_eq!(labels.removed(), [2]);
    assert_eq!((labels.renamed(1), labels.changed(3)), (Some("environment"), Some("***")));
}

#[test]
fn what_it_is_not_told_to_look_for_it_does_not_ask_for() {
    assert_eq!(plugin("{}").further_requests(), []);
    let error = |config: &str| Redact::configure(Config::parse(config).unwrap()).unwrap_err();
    assert!(error(r#"{"mask": "\""}"#).contains("without quotes"));
    assert!(error(r#"{"rename": ["x"]}"#).contains("old=new"));
}
