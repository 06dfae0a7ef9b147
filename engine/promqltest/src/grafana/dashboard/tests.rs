use super::*;

const SMALL: &str = r#"{
  "uid": "u", "title": "t", "schemaVersion": 42,
  "templating": {"list": [
    {"name": "ds", "type": "datasource", "query": "prometheus", "current": {"value": "isinglass"}},
    {"name": "job", "type": "query", "datasource": {"uid": "${ds}"}, "query": {"query": "label_values(up, job)"},
     "multi": true, "includeAll": true, "current": {"value": ["$__all"]}}
  ]},
  "annotations": {"list": [{"name": "starts", "expr": "changes(up[1m])"}]},
  "panels": [{
    "id": 1, "type": "row", "title": "folded", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1},
    "panels": [{
      "id": 2, "type": "table", "title": "inside", "gridPos": {"x": 0, "y": 1, "w": 12, "h": 8},
      "targets": [
        {"refId": "A", "expr": "a", "instant": true, "datasource": {"uid": "${ds}"}},
        {"refId": "B", "expr": "b"},
        {"refId": "C", "expr": "c", "instant": true, "range": true}
      ]
    }]
  }]
}"#;

fn small() -> Dashboard {
    Dashboard::parse(SMALL).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn everything_that_is_asked_is_found() {
    let asked: Vec<_> = small().queries.into_iter().map(|query| (query.place, query.asked)).collect();
    let expr = |of: fn(String) -> Asked, text: &str| of(text.to_owned());
    let options = Lookup::LabelValues { label: "job".into(), selector: Some("up".into()) };
    let inside = |target: &str| format!("panel 2 \"inside\" {target}");
    assert_eq!(
        asked,
        [
            ("variable job".to_owned(), Asked::Options(options)),
            ("annotation starts".to_owned(), expr(Asked::Range, "changes(up[1m])")),
            (inside("A"), expr(Asked::Instant, "a")),
            (inside("B"), expr(Asked::Range, "b")),
            (inside("C"), expr(Asked::Instant, "c")),
            (inside("C"), expr(Asked::Range, "c")),
        ]
    );
    assert_eq!(small().data_sources.len(), 2);
}

#[test]
fn variables_are_opened_with_what_is_current() {
    let options = ["a".to_owned(), "b".to_owned()];
    let dashboard = small();
    let [source, job] = dashboard.variables.as_slice() else { panic!("{:?}", dashboard.variables) };
    assert_eq!(source.opened(&options).value, Value::One("isinglass".into()));
    assert_eq!(source.all_of(&options).value, Value::One("a".into()));
    assert_eq!(job.opened(&options).value, Value::Many(options.to_vec()));
    let custom = VariableModel { all_value: Some(".*".into()), ..job.clone() };
    assert_eq!(custom.all_of(&options).value, Value::All(".*".into()));
    let unset = VariableModel { current: Vec::new(), ..job.clone() };
    assert_eq!(unset.opened(&options).value, Value::Many(vec!["a".into()]));
    assert_eq!(unset.opened(&[]).value, Value::Many(Vec::new()));
}

#[test]
fn places_that_touch_do_not_overlap() {
    let place = |x, y, w, h| Place { x, y, w, h };
    let table = [
        (place(0, 0, 12, 8), place(12, 0, 12, 8), false),
        (place(0, 0, 12, 8), place(0, 8, 12, 8), false),
        (place(0, 0, 12, 8), place(11, 7, 1, 1), true),
        (place(0, 0, 12, 8), place(0, 0, 12, 8), true),
        (place(u64::MAX, 0, 2, 1), place(0, 0, 1, 1), false),
    ];
    for (a, b, wanted) in table {
        assert_eq!((a.overlaps(&b), b.overlaps(&a)), (wanted, wanted), "{a:?} {b:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let check = |json: &str, wanted: &str| {
        let fault = Dashboard::parse(json).err().map(|fault| fault.to_string());
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(wanted)), "{fault:?}");
    };
    check("{", "cannot read the dashboard");
    check("[]", "dashboard has no uid");
    check(&SMALL.replace("\"expr\": \"b\"", "\"expr\": 1"), "panel 2 \"inside\" B has no expr");
    check(&SMALL.replace("\"h\": 8", "\"h\": -8"), "panel 2 has no h");
    check(&SMALL.replace("\"name\": \"job\",", ""), "a variable has no name");
}
