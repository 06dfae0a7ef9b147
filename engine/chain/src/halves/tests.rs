use super::*;
use crate::abi::{BatchIn, LabelValuesOut, ShapeName, TextOut};

fn label(name: &str, keys: &[u32]) -> LabelOut {
    let values = LabelValuesOut::Own(TextOut { offsets: vec![0, 1, 2], data: b"ab".to_vec() });
    LabelOut { name: name.to_owned(), keys: keys.to_vec(), values }
}

fn good() -> HalvesOut {
    HalvesOut {
        rows: vec![0, 3],
        keys: (0..48).collect(),
        flags: vec![Halves::ALONE, Halves::SECOND | Halves::MARKED],
        values: vec![0.5, 0.0],
        times: vec![],
        weights: vec![],
        sets: vec![1, 0],
        set_count: 2,
        labels: vec![label("client", &[0, 1])],
        alone: vec![label("server", &[1, 1])],
    }
}

fn run(out: HalvesOut) -> Result<Option<Box<Halves>>, Failure> {
    let batch = BatchIn { shape: ShapeName::Spans, rows: 4, columns: &[] };
    check(out, &Cut { rows: (100..104).into(), columns: &[], batch })
}

fn check_fault(change: impl FnOnce(&mut HalvesOut), fault: &str) {
    let mut out = good();
    change(&mut out);
    let failure = run(out).unwrap_err();
    assert!(failure.message.contains(fault), "{failure}");
}

#[test]
fn rows_count_from_the_start_of_the_batch() {
    let halves = run(good()).unwrap().unwrap();
    assert_eq!(halves.rows, [100, 103]);
    assert_eq!(halves.keys[1][0], 24);
    assert_eq!(halves.labels[0].values, ["a", "b"]);
    assert_eq!(halves.alone[0].keys, [0, 0]);
    assert_eq!(halves.alone[0].values, ["b"]);
    assert_eq!(run(HalvesOut::default()).unwrap(), None);
}

#[test]
fn answers_are_checked() {
    check_fault(|out| out.rows[0] = 4, "that is not there");
    check_fault(|out| out.sets[1] = 2, "that is not there");
    check_fault(|out| out.keys.truncate(47), "differ in length");
    check_fault(|out| out.keys.truncate(24), "differ in length");
    check_fault(|out| out.flags.push(0), "differ in length");
    check_fault(|out| out.values.truncate(1), "differ in length");
    check_fault(|out| out.times.push(1), "differ in length");
    check_fault(|out| out.weights.push(1.0), "differ in length");
    check_fault(|out| out.flags[0] = 8, "a flag that is not known");
    check_fault(|out| out.values[0] = f64::NAN, "no number");
    check_fault(|out| out.values[0] = f64::INFINITY, "no number");
    check_fault(|out| out.weights = vec![1.0, -1.0], "no number");
    check_fault(|out| out.set_count = 10_001, "10001 label sets");
    check_fault(|out| out.labels[0].keys = vec![0], "1 keys for 2 series");
    check_fault(|out| out.labels[0].keys = vec![0, 2], "key 2 of 2 values");
    check_fault(|out| out.labels[0].name = "__name__".to_owned(), "is reserved");
    check_fault(|out| out.alone.push(label("server", &[0, 0])), "given twice");
    check_fault(|out| out.rows = vec![0; 20_001], "20001 of them");
}
