use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringViewArray};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::{SessionConfig, SessionContext, col};
use futures::TryStreamExt as _;
use proptest::prelude::*;

use crate::rules;

/// A text, a label, a number, and `n`, which no other row has.
type Row = (Option<String>, u8, Option<i64>);

fn row() -> impl Strategy<Value = Row> {
    let text = prop::sample::select(vec!["", "cart", "exactly12byt", "checkout-service", "checkout-servicf"]);
    (prop::option::weighted(0.9, text.prop_map(str::to_owned)), 0..4_u8, prop::option::of(-5..5_i64))
}

fn batch(first: usize, rows: &[Row]) -> RecordBatch {
    let labels: DictionaryArray<arrow_array::types::UInt16Type> =
        rows.iter().map(|row| ["a", "b", "c", "d"][usize::from(row.1) % 4]).collect();
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("t", Arc::new(rows.iter().map(|row| row.0.as_deref()).collect::<StringViewArray>()), true),
        ("l", Arc::new(labels), true),
        ("v", Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()), true),
        ("n", Arc::new(Int64Array::from_iter_values((first as i64..).take(rows.len()))), false),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn batches(rows: &[Row], each: usize) -> Vec<RecordBatch> {
    let batches = rows.chunks(each).enumerate().map(|(at, rows)| batch(at * each, rows));
    batches.chain([batch(0, &[])]).collect()
}

struct Session {
    context: SessionContext,
    pool: Arc<dyn MemoryPool>,
}

impl Session {
    /// With the rules of the engine. Rows are in the order of `n`, and no sort takes memory for it.
    fn new(memory_bytes: usize, rows: Vec<RecordBatch>) -> Self {
        Self::with(true, 1, memory_bytes, rows)
    }

    /// With the rules of the engine, or with DataFusion's alone.
    fn with(own: bool, threads: usize, memory_bytes: usize, rows: Vec<RecordBatch>) -> Self {
        let config = SessionConfig::new().with_target_partitions(threads).with_batch_size(64);
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(memory_bytes));
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool)).build_arc().unwrap();
        let mut state =
            SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
        if own {
            state = state.with_physical_optimizer_rules(rules::physical());
        }
        let context = SessionContext::new_with_state(state.build());
        let table = MemTable::try_new(rows[0].schema(), vec![rows]).unwrap();
        let table = table.with_sort_order(vec![vec![col("n").sort(true, true)]]);
        context.register_table("rows", Arc::new(table)).unwrap();
        Self { context, pool }
    }

    async fn asked(&self, question: &str) -> Result<Vec<String>, String> {
        let answer = self.context.sql(question).await.map_err(|error| error.to_string())?;
        let batches = answer.collect().await.map_err(|error| error.to_string())?;
        assert_eq!(self.pool.reserved(), 0, "{question}");
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let mut rows: Vec<_> = text.lines().map(str::to_owned).collect();
        rows.sort();
        Ok(rows)
    }

    async fn plan(&self, question: &str) -> String {
        let answer = self.context.sql(&format!("EXPLAIN {question}")).await.unwrap();
        let batches = answer.collect().await.unwrap();
        let plans = batches.iter().flat_map(|batch| batch.column(1).as_string::<i32>().iter().flatten());
        plans.collect()
    }

    /// What was reserved at most while the answer came, batch by batch.
    async fn peak(&self, question: &str) -> usize {
        let plan = self.context.sql(question).await.unwrap().create_physical_plan().await.unwrap();
        let mut answer = execute_stream(plan, self.context.task_ctx()).unwrap();
        let mut peak = 0;
        while answer.try_next().await.unwrap().is_some() {
            peak = peak.max(self.pool.reserved());
        }
        peak
    }
}

/// Which of our nodes makes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Whole,
    Metered,
    /// DataFusion's alone: nothing stays.
    Passing,
}

const QUESTIONS: &[(&str, By)] = &[
    ("sum(v) over ()", By::Whole),
    ("count(*) over ()", By::Whole),
    ("1.0 * v / sum(v) over (partition by t)", By::Whole),
    (
        "max(t) over (partition by l, t order by n rows between 2 preceding and unbounded following)",
        By::Whole,
    ),
    (
        "last_value(t) over (partition by l order by n rows between current row and unbounded following)",
        By::Whole,
    ),
    ("ntile(3) over (partition by l order by n)", By::Whole),
    ("percent_rank() over (order by v, n)", By::Whole),
    ("sum(v) over (order by n range between unbounded preceding and current row)", By::Metered),
    ("sum(v) over (partition by t order by v)", By::Metered),
    ("sum(v) over (order by n rows between 70 preceding and current row)", By::Metered),
    ("min(t) over (partition by l order by n rows between 3 preceding and 100 following)", By::Metered),
    ("count(v) over (order by n range between 10 preceding and 10 following)", By::Metered),
    ("lead(t, 70) over (order by n)", By::Metered),
    ("lag(t, 70) over (partition by l order by n)", By::Metered),
    ("lag(v, 2) ignore nulls over (order by n)", By::Passing),
    ("row_number() over (partition by l order by n)", By::Passing),
    ("rank() over (order by v)", By::Passing),
    ("sum(v) over (partition by t order by n rows between unbounded preceding and current row)", By::Passing),
];

fn question(window: &str) -> String {
    format!("SELECT n, t, l, {window} AS w FROM rows")
}

fn rows(count: i64) -> Vec<Row> {
    (0..count).map(|n| (Some(format!("a text of {n} in a buffer")), (n % 4) as u8, Some(n % 7))).collect()
}

#[tokio::test]
async fn who_makes_which_window() {
    let session = Session::new(1 << 30, batches(&rows(300), 100));
    for (window, by) in QUESTIONS {
        let plan = session.plan(&question(window)).await;
        let whole = plan.contains("WholeWindowExec: wdw=[");
        let metered = plan.contains("WindowRowsExec: given back") && plan.contains("WindowRowsExec: charged");
        let got = if whole {
            By::Whole
        } else if metered {
            By::Metered
        } else {
            By::Passing
        };
        assert_eq!(got, *by, "{window}: {plan}");
        assert!(!plan.contains(" WindowAggExec"), "{window}: {plan}");
    }
    let plan =
        session.plan(&question("sum(v) over (order by n rows between 70 preceding and current row)")).await;
    assert!(plan.contains("WindowRowsExec: given back, behind=70"), "{plan}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn answers_are_those_of_datafusion(rows in prop::collection::vec(row(), 1..300), each in 1..120_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let session = |own| Session::with(own, 2, 1 << 30, batches(&rows, each));
            let (ours, theirs) = (session(true), session(false));
            let all: Vec<&str> = QUESTIONS.iter().map(|(window, _)| *window).collect();
            for window in all.iter().copied().chain([&*format!("{} , {} ", all[2], all[10].replace("min", "max"))]) {
                let question = question(window);
                assert_eq!(ours.asked(&question).await, theirs.asked(&question).await, "{question}");
            }
            for empty in ["SELECT count(*) over () FROM rows", "SELECT sum(v) over () FROM rows WHERE n < 0"] {
                assert_eq!(ours.asked(empty).await, theirs.asked(empty).await, "{empty}");
            }
        });
    }
}

const ROWS: usize = 40_000;

/// Bytes of a row in the table: the views and texts, keys of labels, two numbers.
const ROW_BYTES: usize = 16 + 28 + 2 + 8 + 8;

#[tokio::test]
async fn a_window_over_everything_is_charged() {
    let table = batches(&rows(ROWS as i64), 1_000);
    let all = Session::new(1 << 30, table.clone());
    let question = "SELECT t, n, sum(v) over () FROM rows";
    let peak = all.peak(question).await;
    assert!((ROWS * 52..ROWS * 52 * 2).contains(&peak), "{peak} bytes");
    let few = Session::new(ROWS * 30, table);
    let error = few.asked(question).await.unwrap_err();
    assert!(error.contains("Resources exhausted") && error.contains("Window[0]"), "{error}");
    assert_eq!(few.pool.reserved(), 0);
}

/// Values of other frames are made one by one, and are larger then.
#[tokio::test]
async fn values_by_row_are_charged_while_they_are_made() {
    let session = Session::new(ROWS * 100, batches(&rows(ROWS as i64), 1_000));
    session.asked("SELECT n, sum(v) over () FROM rows").await.unwrap();
    let question =
        "SELECT n, max(v) over (order by n rows between 1 preceding and unbounded following) FROM rows";
    let error = session.asked(question).await.unwrap_err();
    assert!(error.contains("Resources exhausted") && error.contains("Window[0]"), "{error}");
}

/// As much memory as some batches take is enough for windows that let go of what they have seen.
#[tokio::test]
async fn running_windows_need_memory_for_what_they_hold() {
    let table = batches(&rows(ROWS as i64), 1_000);
    let session = Session::new(ROWS * ROW_BYTES / 5, table);
    let running = [
        "row_number() over (order by n)",
        "sum(v) over (order by n)",
        "sum(v) over (order by n rows between 50 preceding and 50 following)",
        "lead(t, 10) over (order by n)",
        "lag(t, 10) over (order by n)",
        "count(v) over (order by n range between 100 preceding and 100 following)",
    ];
    for window in running {
        session.asked(&question(window)).await.unwrap();
    }
    let holding = [
        "lead(t, 30000) over (order by n)",
        "sum(v) over (order by n rows between current row and 30000 following)",
        "sum(v) over (order by n rows between 30000 preceding and current row)",
        "lag(t, 30000) over (order by n)",
    ];
    for window in holding {
        let error = session.asked(&question(window)).await.unwrap_err();
        assert!(error.contains("Resources exhausted") && error.contains("WindowRows[0]"), "{error}");
        assert_eq!(session.pool.reserved(), 0);
    }
    // Peers have one answer, which is known when the last of them has come.
    let error = session.asked("SELECT t, l, sum(v) over (order by v * 0) FROM rows").await.unwrap_err();
    assert!(error.contains("Resources exhausted"), "{error}");
}

/// Batches that share a buffer are charged for it once.
#[tokio::test]
async fn what_batches_share_is_charged_once() {
    let one = batch(0, &rows(ROWS as i64));
    let slices: Vec<_> = (0..ROWS).step_by(100).map(|from| one.slice(from, 100)).collect();
    let session = Session::new(ROWS * ROW_BYTES * 2, slices);
    session.asked("SELECT t, l, n, v, sum(v) over () FROM rows").await.unwrap();
}

/// Batches that come while nobody has asked for the answer yet are given back with the stream.
#[tokio::test]
async fn who_leaves_gives_everything_back() {
    let session = Session::new(1 << 30, batches(&rows(ROWS as i64), 1_000));
    for window in ["sum(v) over ()", "lead(t, 30000) over (order by n)"] {
        let plan =
            session.context.sql(&question(window)).await.unwrap().create_physical_plan().await.unwrap();
        let mut answer = execute_stream(plan, session.context.task_ctx()).unwrap();
        let first = answer.try_next().await.unwrap().unwrap();
        assert!(first.num_rows() > 0 && session.pool.reserved() > 0, "{window}");
        assert!(first.column(0).as_primitive::<Int64Type>().value(0) >= 0);
        drop(answer);
        assert_eq!(session.pool.reserved(), 0, "{window}");
    }
}
