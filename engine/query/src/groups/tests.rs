use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringViewArray, TimestampNanosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use proptest::prelude::*;

use super::keys::Keys;
use crate::rules;

type Row = (Option<String>, Option<i64>, Option<i64>);

fn text() -> impl Strategy<Value = Option<String>> {
    let known =
        prop::sample::select(vec!["", "cart", "exactly12byt", "checkout-service", "checkout-servicf"]);
    prop_oneof![
        1 => Just(None),
        6 => known.prop_map(|text| Some(text.to_owned())),
        1 => "[a-c]{0,20}".prop_map(Some),
    ]
}

fn integer() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        1 => Just(None),
        6 => (0..4_i64).prop_map(|n| Some(n * 60_000_000_000)),
        1 => any::<i64>().prop_map(Some),
    ]
}

/// Rows that come in runs, as in files, and alone.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let run = ((text(), integer(), integer()), 1..20_usize);
    prop::collection::vec(run, 0..60)
        .prop_map(|runs| runs.into_iter().flat_map(|(row, times)| std::iter::repeat_n(row, times)).collect())
}

fn arrays(rows: &[Row]) -> Vec<ArrayRef> {
    vec![
        Arc::new(rows.iter().map(|row| row.0.as_deref()).collect::<StringViewArray>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<TimestampNanosecondArray>().with_timezone("UTC")),
        Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()),
    ]
}

fn types() -> Vec<DataType> {
    vec![DataType::Utf8View, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), DataType::Int64]
}

proptest! {
    /// Same rows, same number; numbers as groups come; and each number's values are the rows'.
    #[test]
    fn rows_of_a_group_have_its_number(batches in prop::collection::vec(rows(), 0..4), columns in 1..=3_usize) {
        check(&batches, columns);
    }

    /// Short texts and long ones, each of which comes once or now and then.
    #[test]
    fn many_texts_are_numbered(
        batches in prop::collection::vec((0..3_000_usize, 1..5_000_u64, any::<u64>()), 1..4),
        columns in 1..=2_usize,
    ) {
        let row = |number: u64| match number % 13 {
            0 => (None, Some(1), None),
            length => (Some(format!("{number:0>width$}", width = 3 * length as usize)), Some(1), None),
        };
        let rows = |&(rows, distinct, seed): &(usize, u64, u64)| {
            let of = |n: u64| row((n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed) % distinct);
            (0..rows as u64).map(of).collect()
        };
        check(&batches.iter().map(rows).collect::<Vec<_>>(), columns);
    }
}

/// Gives rows to groups by the first columns.
fn check(batches: &[Vec<Row>], columns: usize) {
    let mut keys = Keys::new(&types()[..columns]).unwrap();
    let (mut known, mut order) = (BTreeMap::new(), Vec::new());
    for rows in batches {
        let mut numbers = Vec::new();
        keys.number(&arrays(rows)[..columns], &mut numbers).unwrap();
        for (row, number) in rows.iter().zip(numbers) {
            let key = (row.0.clone(), row.1.filter(|_| columns > 1), row.2.filter(|_| columns > 2));
            let new = known.len() as u32;
            let wanted = *known.entry(key).or_insert_with(|| {
                order.push(row.clone());
                new
            });
            assert_eq!(number, wanted);
        }
    }
    assert_eq!(keys.len(), order.len());
    for (got, wanted) in keys.arrays().unwrap().iter().zip(arrays(&order)) {
        assert_eq!(got, &wanted);
    }
}

fn batch(rows: &[Row]) -> RecordBatch {
    let [text, time, code] = <[ArrayRef; 3]>::try_from(arrays(rows)).unwrap();
    let value: ArrayRef =
        Arc::new((0..rows.len()).map(|row| (row % 7 > 0).then_some(row as f64)).collect::<Float64Array>());
    RecordBatch::try_from_iter_with_nullable([
        ("t", text, true),
        ("m", time, true),
        ("c", code, true),
        ("v", value, true),
    ])
    .unwrap()
}

/// A session with the rules of the engine, or with DataFusion's alone.
fn session(
    own: bool,
    memory_bytes: usize,
    probe_rows: usize,
    partitions: Vec<Vec<RecordBatch>>,
) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2).with_batch_size(64);
    let execution = &mut config.options_mut().execution;
    execution.skip_partial_aggregation_probe_rows_threshold = probe_rows;
    execution.skip_partial_aggregation_probe_ratio_threshold = 0.1;
    let pool = Arc::new(GreedyMemoryPool::new(memory_bytes));
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let mut state =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
    if own {
        state = state.with_physical_optimizer_rules(rules::physical());
    }
    let session = SessionContext::new_with_state(state.build());
    let table = MemTable::try_new(partitions[0][0].schema(), partitions).unwrap();
    session.register_table("rows", Arc::new(table)).unwrap();
    session
}

async fn asked(session: &SessionContext, question: &str) -> Vec<String> {
    let batches = session.sql(question).await.unwrap().collect().await.unwrap();
    let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let mut rows: Vec<_> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// The cells of a row of an answer.
fn cells(row: &str) -> Vec<&str> {
    row.split('|').map(str::trim).collect()
}

/// The last digits of deviations follow from the order in which states are merged, which nobody
/// promises: fractions may differ by a billionth. All else is the same.
fn check_same(ours: &[String], theirs: &[String], question: &str) {
    let fraction = |cell: &str| cell.parse::<f64>().ok().filter(|_| cell.contains('.'));
    let same = |a: &str, b: &str| match (fraction(a), fraction(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
        _ => a == b,
    };
    // Lines between rows are as long as the longest cell.
    let rows =
        |text: &[String]| text.iter().filter(|line| !line.starts_with('+')).cloned().collect::<Vec<_>>();
    let (ours, theirs) = (rows(ours), rows(theirs));
    assert_eq!(ours.len(), theirs.len(), "{question}");
    for (row, wanted) in ours.iter().zip(&theirs) {
        let (found, expected) = (cells(row), cells(wanted));
        let same = found.len() == expected.len() && found.iter().zip(&expected).all(|(a, b)| same(a, b));
        assert!(same, "{question}: {row} is not {wanted}");
    }
}

async fn plan(session: &SessionContext, question: &str) -> String {
    let batches = session.sql(&format!("EXPLAIN {question}")).await.unwrap().collect().await.unwrap();
    batches
        .iter()
        .flat_map(|batch| {
            batch.column(1).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Questions, and whether the groups are ours.
const QUESTIONS: &[(&str, bool)] = &[
    ("SELECT t, m, count(*) FROM rows GROUP BY 1, 2", true),
    ("SELECT t, m, c, count(v), sum(v), min(v), max(c), avg(v) FROM rows GROUP BY 1, 2, 3", true),
    ("SELECT c, t, count(*) FILTER (WHERE v > 10), stddev(v), max(t) FROM rows GROUP BY 1, 2", true),
    (
        "SELECT date_bin(interval '1 minute', m) b, upper(t), count(*) FROM rows WHERE v > 3 GROUP BY 1, 2",
        true,
    ),
    ("SELECT date_bin(interval '1 minute', m) b, t, count(*) FROM rows WHERE v > 3 GROUP BY 1, 2", true),
    ("SELECT DISTINCT t, m FROM rows", true),
    ("SELECT t, m, count(DISTINCT v) FROM rows GROUP BY 1, 2", true),
    ("SELECT t, c, first_value(v ORDER BY v) FROM rows GROUP BY 1, 2", false),
    ("SELECT t, c, count(*) FROM rows GROUP BY CUBE (t, c)", false),
    ("SELECT t, count(*), sum(c) FROM rows GROUP BY 1", true),
    ("SELECT m, count(*) FROM rows GROUP BY 1", false),
    ("SELECT t, v, count(*) FROM rows GROUP BY 1, 2", false),
];

#[test]
fn what_is_the_same() {
    let differs = |ours: &str, theirs: &str| {
        let rows = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        std::panic::catch_unwind(|| check_same(&rows(ours), &rows(theirs), "?")).is_err()
    };
    assert!(!differs("| a | 55.8611951025 |", "| a | 55.86119510249999 |"));
    assert!(differs("| a | 55.8611951 |", "| a | 55.8611952 |"));
    assert!(differs("| a | 7 |", "| a | 8 |"));
    assert!(differs("| a | 7.0 |", "| b | 7.0 |"));
    assert!(differs("| a | 7.0 |", "| a | 7.0 |\n| b | 7.0 |"));
}

#[tokio::test]
async fn who_makes_the_groups() {
    let rows: Vec<Row> = (0..300).map(|n| (Some(format!("t{}", n % 3)), Some(n % 5), Some(n % 2))).collect();
    let session = session(true, 1 << 30, usize::MAX, vec![vec![batch(&rows)], vec![batch(&rows)]]);
    for (question, ours) in QUESTIONS {
        let plan = plan(&session, question).await;
        assert_eq!(plan.contains("PartialGroupsExec"), *ours, "{question}: {plan}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// With little memory groups are given on before all rows were seen.
    #[test]
    fn answers_are_those_of_datafusion(one in rows(), other in rows(), little in any::<bool>(), passes in any::<bool>()) {
        let partitions = || vec![one.chunks(50).map(batch).chain([batch(&[])]).collect(), vec![batch(&other)]];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory_bytes = if little { 600 << 10 } else { 1 << 30 };
            let (ours, theirs) = (session(true, memory_bytes, if passes { 20 } else { usize::MAX }, partitions()), session(false, 1 << 30, usize::MAX, partitions()));
            for (question, _) in QUESTIONS.iter().filter(|(_, ours)| *ours) {
                check_same(&asked(&ours, question).await, &asked(&theirs, question).await, question);
            }
        });
    }
}

#[tokio::test]
async fn more_groups_than_are_kept_at_once() {
    let rows = |from: i64| (from..from + 5_000).map(|n| (Some(format!("t{}", n % 60)), Some(n / 2), Some(0)));
    let batches: Vec<_> = (0..4).map(|n| batch(&rows(n * 2_400).collect::<Vec<_>>())).collect();
    let session = session(true, 1 << 30, usize::MAX, vec![batches, vec![batch(&[])]]);
    let got =
        asked(&session, "SELECT count(*), sum(n) FROM (SELECT t, m, count(*) n FROM rows GROUP BY 1, 2)")
            .await;
    let distinct: std::collections::BTreeSet<_> =
        (0..3 * 2_400 + 5_000_i64).map(|n| (n % 60, n / 2)).collect();
    assert!(
        got.iter().any(|line| line.contains(&format!("| {} ", distinct.len())) && line.contains("20000 ")),
        "{got:?}"
    );
    assert!(distinct.len() > 1 << 12);
}
