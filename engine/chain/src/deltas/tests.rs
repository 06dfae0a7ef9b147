use super::*;
use crate::abi::{BatchIn, DeltasOut, IncrementsOut, MetricKindOut, MetricOut, ShapeName};
use crate::columns::tests::{Fake, request, text_buffers};
use crate::columns::{Offered, Request};
use crate::declaration::check_declaration;
use isinglass_model::columns::{Column, ColumnData, Encoding, Shape};

fn metrics() -> Vec<DerivedMetric> {
    let metric = |name: &str, kind, bounds: &[f64]| DerivedMetric::new(name, kind, bounds.to_vec());
    vec![metric("calls", DerivedKind::Counter, &[]), metric("latency", DerivedKind::Histogram, &[1.0, 2.0])]
}

fn good() -> DeltasOut {
    let own = TextOut { offsets: vec![0, 1, 3], data: b"abb".to_vec() };
    DeltasOut {
        series: 2,
        labels: vec![
            LabelOut { name: "service".to_owned(), keys: vec![2, 0], values: LabelValuesOut::Input(7) },
            LabelOut { name: "kind".to_owned(), keys: vec![1, 1], values: LabelValuesOut::Own(own) },
        ],
        increments: vec![
            IncrementsOut { metric: 0, values: vec![1.0, 2.0], buckets: vec![] },
            IncrementsOut { metric: 1, values: vec![-1.0, 2.5], buckets: vec![1, 0, 0, 0, 1, 1] },
        ],
        exemplars: ExemplarsOut { metric: vec![1], series: vec![1], value: vec![2.5], row: vec![3] },
    }
}

fn run(out: DeltasOut) -> Result<Deltas, Failure> {
    let long = "é".repeat(1_000);
    let dictionary = ColumnData::Dictionary {
        keys: vec![0, 1, 2, 2].into(),
        values: text_buffers(&["checkout", "unused", &long]),
    };
    let columns =
        vec![("service", Column::new(dictionary)), ("time", Column::new(ColumnData::I64(vec![0; 4].into())))];
    let batch = Fake { shape: Shape::Spans, rows: 4, columns };
    let mut offered = Offered::new(&batch);
    let service = Request { encoding: Encoding::Dictionary, ..request(7, "service") };
    let columns = offered.project(&[service, request(8, "time")]).unwrap();
    let batch = BatchIn { shape: ShapeName::Spans, rows: 4, columns: &[] };
    let table = DerivedOut::from(out).tables.remove(0);
    check_table(table, 3, &metrics(), &Cut { rows: (100..104).into(), columns: &columns, batch })
}

#[test]
fn labels_are_resolved_to_the_values_in_use() {
    let deltas = run(good()).unwrap();
    assert_eq!(deltas.binding, 3);
    let service = &deltas.labels[0];
    assert_eq!(service.keys, [0, 1]);
    assert_eq!(service.values, [&*"é".repeat(512), "checkout"], "cut at a character");
    let kind = &deltas.labels[1];
    assert_eq!(kind.keys, [0, 0]);
    assert_eq!(kind.values, ["bb"]);
    assert_eq!(deltas.exemplars[0].row, 103, "rows count from the start of the batch");
}

fn check_fault(change: impl FnOnce(&mut DeltasOut), fault: &str) {
    let mut out = good();
    change(&mut out);
    let failure = run(out).unwrap_err();
    assert!(failure.message.contains(fault), "{failure}");
}

#[test]
fn answers_are_checked() {
    check_fault(|out| out.series = 10_001, "10001 series");
    check_fault(|out| out.series = 1, "2 values for 1 series");
    check_fault(|out| out.labels[0].name = "1x".to_owned(), "is no label name");
    check_fault(|out| out.labels[0].name = "__name__".to_owned(), "is reserved");
    check_fault(|out| out.labels[0].name = "le".to_owned(), "is reserved");
    check_fault(|out| out.labels[1].name = "service".to_owned(), "given twice");
    check_fault(|out| out.labels[0].keys = vec![0], "1 keys for 2 series");
    check_fault(|out| out.labels[0].keys = vec![0, 3], "key 3 of 3 values");
    check_fault(|out| out.labels[0].values = LabelValuesOut::Input(8), "slot 8 is no dictionary");
    check_fault(|out| out.labels[0].values = LabelValuesOut::Input(9), "slot 9 is no dictionary");
    check_fault(|out| out.increments[0].metric = 2, "only 2 metrics");
    check_fault(|out| out.increments[0].metric = 1, "bucket counts");
    check_fault(|out| out.increments[1].metric = 0, "given twice");
    check_fault(|out| out.increments[0].values[0] = -1.0, "a value of -1");
    check_fault(|out| out.increments[1].values[0] = f64::NAN, "a value of NaN");
    check_fault(|out| out.increments[1].buckets.truncate(5), "5 bucket counts, expected 6");
    check_fault(|out| out.exemplars.row[0] = 4, "row 4");
    check_fault(|out| out.exemplars.series[0] = 2, "series 2");
    check_fault(|out| out.exemplars.metric[0] = 2, "metric 2");
    check_fault(|out| out.exemplars.value[0] = f64::INFINITY, "value inf");
    check_fault(|out| out.exemplars.value.push(0.0), "differ in length");
}

fn own(offsets: &[i32], data: &[u8]) -> LabelValuesOut {
    LabelValuesOut::Own(TextOut { offsets: offsets.to_vec(), data: data.to_vec() })
}

#[test]
fn own_text_is_checked() {
    for offsets in [&[][..], &[1, 2, 3], &[0, 2, 1], &[0, 1, 2], &[0, 1, 4], &[0, -1, 3]] {
        check_fault(|out| out.labels[1].values = own(offsets, b"abb"), "do not fit");
    }
    check_fault(|out| out.labels[1].values = own(&[0, 1, 2], b"a\xff"), "not UTF-8");
    let long = vec![b'x'; 1_025];
    check_fault(|out| out.labels[1].values = own(&[0, 0, 1_025], &long), "a value of 1025 bytes");
    // What no series uses is not looked at.
    let mut unused = good();
    unused.labels[1].values = own(&[0, 2, 3], b"\xff\xffb");
    assert_eq!(run(unused).unwrap().labels[1].values, ["b"]);
}

#[test]
fn declared_metrics_are_checked() {
    let metric = |name: &str, kind, bounds: &[f64]| MetricOut {
        name: name.to_owned(),
        kind,
        help: String::new(),
        unit: String::new(),
        bounds: bounds.to_vec(),
    };
    let counter = || metric("a:b_total", MetricKindOut::Counter, &[]);
    assert_eq!(check_declaration(vec![counter()].into()).unwrap().metrics[0].name, "a:b_total");
    for (metrics, fault) in [
        (vec![counter(), counter()], "declared twice"),
        (vec![metric("a-b", MetricKindOut::Counter, &[])], "is no metric name"),
        (vec![metric("a", MetricKindOut::Counter, &[1.0])], "a counter has no bounds"),
        (vec![metric("a", MetricKindOut::Histogram, &[2.0, 1.0])], "finite and ascending"),
        (vec![metric("a", MetricKindOut::Histogram, &[f64::INFINITY])], "finite and ascending"),
        (vec![metric("a", MetricKindOut::Histogram, &[0.0; 201])], "too many bounds"),
    ] {
        let failure = check_declaration(metrics.into()).unwrap_err();
        assert!(failure.message.contains(fault), "{failure}");
    }
}

#[test]
fn exponential_buckets_are_checked() {
    let good = || ExponentialOut {
        scale: 3,
        series: vec![0, 1],
        index: vec![-67, 12],
        count: vec![2.0, 1.5],
        zeros: vec![0.0, 1.0],
    };
    assert_eq!(check_exponential(good(), 2).unwrap().buckets, [(0, -67, 2.0), (1, 12, 1.5)]);
    let faults: [fn(&mut ExponentialOut); 7] = [
        |out| out.scale = 9,
        |out| out.series[0] = 2,
        |out| out.index[0] = i32::MIN,
        |out| out.count[0] = -1.0,
        |out| out.count[1] = f64::NAN,
        |out| out.index.truncate(1),
        |out| out.zeros.truncate(1),
    ];
    for fault in faults {
        let mut out = good();
        fault(&mut out);
        assert!(check_exponential(out, 2).is_err());
    }
}
