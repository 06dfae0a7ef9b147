use isinglass_model::clock::ManualClock;
use isinglass_model::columns::{Column, ColumnData, Shape};
use serde_json::json;

use super::*;
use crate::columns::tests::{Fake, text_buffers};

fn load(path: &str, configs: &[Value]) -> Rehearsal {
    let path = format!("{}/../../plugins/dist/{path}", env!("CARGO_MANIFEST_DIR"));
    Rehearsal::load(Path::new(&path), configs, Budget::default(), None, Arc::new(ManualClock::at(1))).unwrap()
}

fn rows(shape: Shape) -> Fake {
    let keys =
        ColumnData::Dictionary { keys: vec![0, 1, 0].into(), values: text_buffers(&["shop", "noise"]) };
    let times = ColumnData::I64(vec![1, 2, 3].into());
    Fake { shape, rows: 3, columns: vec![("service", Column::new(keys)), ("time", Column::new(times))] }
}

#[test]
fn each_configuration_answers_by_itself() {
    let deny =
        load("examples/deny-service.wasm", &[json!({ "services": ["noise"] }), json!({}), json!({ "x": 1 })]);
    assert_eq!(deny.world(), World::Validator);
    let verdicts = deny.player(0).unwrap().validate(&rows(Shape::Spans), 1).unwrap();
    assert_eq!(verdicts.rows, [0, 1, 0]);
    assert!(deny.player(1).unwrap().validate(&rows(Shape::Spans), 1).unwrap().keeps_all());
    let error = deny.player(2).err().unwrap().to_string();
    assert!(error.contains("configuration refused"), "{error}");
}

#[test]
fn a_deriver_and_a_limiter_answer_too() {
    let counts = load("examples/log-counts.wasm", &[json!({})]);
    let deltas = counts.player(0).unwrap().derive(&rows(Shape::Logs), 1).unwrap();
    assert_eq!((deltas.len(), &deltas[0].increments[0].values[..]), (1, &[2.0, 1.0][..]));

    let limit = load("rate-limit.wasm", &[json!({ "items_per_second": 10, "bytes_per_second": 100 })]);
    let player = limit.player(0).unwrap();
    assert_eq!(player.limit(&rows(Shape::Spans), 1).unwrap()[0].cost, 3.0);
    assert_eq!(player.admit(Signal::Logs, 50, 1).unwrap()[0].cost, 50.0);
}

#[test]
fn a_failure_is_told() {
    let hostile = load("test/hostile-validator.wasm", &[json!({ "does": "trap" })]);
    let error = hostile.player(0).unwrap().validate(&rows(Shape::Spans), 1).unwrap_err();
    assert!(error.starts_with("trap: "), "{error}");
}
