use isinglass_model::batch::SeriesBatch;
use isinglass_model::clock::ManualClock;
use isinglass_model::columns::{Column, ColumnData, Shape};
use isinglass_model::labels::{LabelSet, Temporality};
use serde_json::json;

use super::*;
use crate::columns::tests::{Fake, text_buffers};

fn load(path: &str, configs: &[Value]) -> Rehearsal {
    let path = format!("{}/../../plugins/dist/{path}", env!("CARGO_MANIFEST_DIR"));
    Rehearsal::load(
        Path::new(&path),
        configs,
        Budget::default(),
        &Compilation::default(),
        Arc::new(ManualClock::at(1)),
    )
    .unwrap()
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

fn series(pod: &str) -> SeriesBatch {
    let set = LabelSet::new(&mut [("__name__", "up"), ("pod", pod)], Temporality::default());
    SeriesBatch { labels: vec![set.unwrap()] }
}

#[test]
fn a_transformer_changes_the_batch_and_measuring_it_does_not() {
    let redact = load("examples/redact.wasm", &[json!({ "keys": ["pod"] })]);
    let player = redact.player(0).unwrap();
    let mut batch = series("a");
    player.edits(&batch, 1).unwrap();
    assert_eq!(batch.labels[0].to_string(), r#"up{pod="a"}"#);
    assert!(player.transform(&mut batch, 1).unwrap().keeps_all());
    assert_eq!(batch.labels[0].to_string(), r#"up{pod="***"}"#);
}

#[test]
fn functions_are_called_by_name() {
    let geo = load("examples/geo.wasm", &[json!({})]);
    let player = geo.player(0).unwrap();
    assert!(player.function("nope", 1).is_none());
    let floats = |values: &[f64]| Column::new(ColumnData::F64(values.to_vec().into()));
    let mean = player.function("harmonic_mean", 1).unwrap();
    assert!(mean.signature().aggregate);
    let states = mean.accumulate(2, &[0, 1, 0], 3, &[floats(&[1.0, 5.0, 3.0])]).unwrap();
    let states = mean.merge(2, &states).unwrap();
    let ColumnData::F64(values) = mean.finish(&states).unwrap().data else { panic!("floats") };
    assert_eq!(values[..], [1.5, 5.0]);
    // Faults are told however many there are: nothing is left alone here.
    for _ in 0..100 {
        let error = mean.accumulate(1, &[], 1, &[floats(&[0.0])]).unwrap_err();
        assert!(error.contains("row 0: harmonic_mean takes positive values"), "{error}");
    }
}

#[test]
fn a_failure_is_told() {
    let hostile = load("test/hostile-validator.wasm", &[json!({ "does": "trap" })]);
    let error = hostile.player(0).unwrap().validate(&rows(Shape::Spans), 1).unwrap_err();
    assert!(error.starts_with("trap: "), "{error}");
}
