//! A real store with a few known rows of every kind.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use futures::TryStreamExt;
use isinglass_model::batch::{HistogramRow, STALE_NAN_BITS, SampleBatch};
use isinglass_model::clock::SystemClock;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{MetricMeta, SeriesResolver};
use isinglass_model::tables::{Table, batch_type};
use isinglass_model::{Kind, Tenant};
use isinglass_query::{QueryConfig, QueryEngine, QueryError, SqlOptions};
use isinglass_store::{Append, NoObserver, Store, StoreConfig};

/// Where the rows of the fixture lie when a query comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// All in memory.
    Unflushed,
    /// All in Parquet files.
    Flushed,
    /// The first half of each kind in files, the rest in memory.
    Half,
}

/// A store, an engine over it, and the folder they live in.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) engine: QueryEngine,
    pub(crate) folder: tempfile::TempDir,
}

impl Fixture {
    /// An empty one.
    pub(crate) async fn empty(config: QueryConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store_config = StoreConfig { data_dir: folder.path().to_owned(), ..StoreConfig::default() };
        let store =
            Store::open(store_config, Arc::new(SystemClock::new()), Arc::new(NoObserver)).await.unwrap();
        let engine = QueryEngine::new(store.clone(), config).unwrap();
        Self { store, engine, folder }
    }

    /// One with the rows of `tests/data` in the tenant `default`.
    pub(crate) async fn with(rows: Rows) -> Self {
        Self::with_config(rows, QueryConfig::default()).await
    }

    /// The same under a configuration.
    pub(crate) async fn with_config(rows: Rows, config: QueryConfig) -> Self {
        let fixture = Self::empty(config).await;
        let tenant = Tenant::default();
        let all = Items::read();
        match rows {
            Rows::Unflushed => fixture.append(&tenant, &all, 0, usize::MAX).await,
            Rows::Flushed => {
                fixture.append(&tenant, &all, 0, usize::MAX).await;
                fixture.store.flush().await.unwrap();
            }
            Rows::Half => {
                fixture.append(&tenant, &all, 0, 2).await;
                fixture.store.flush().await.unwrap();
                fixture.append(&tenant, &all, 2, usize::MAX).await;
            }
        }
        fixture
    }

    /// Stores items `from..to` of each kind.
    async fn append(&self, tenant: &Tenant, items: &Items, from: usize, to: usize) {
        let mut append = Append::new(tenant.clone());
        let part = |lines: &[String]| lines[from.min(lines.len())..to.min(lines.len())].to_vec();
        append.spans = batch(Kind::Spans, &part(&items.spans));
        append.logs = batch(Kind::Logs, &part(&items.logs));
        append.rejected = batch(Kind::Rejected, &part(&items.rejected));
        let mut resolver = self.store.resolver(tenant).await.unwrap();
        for line in part(&items.metrics) {
            push_sample(&line, &mut append.samples, &mut resolver);
        }
        push_histograms(&mut append, &mut resolver, from, to);
        self.store.append(append).await.unwrap();
    }

    /// Stores rows of one kind, given as lines of JSON.
    pub(crate) async fn append_rows(&self, tenant: &Tenant, kind: Kind, lines: &[String]) {
        let mut append = Append::new(tenant.clone());
        match kind {
            Kind::Spans => append.spans = batch(kind, lines),
            Kind::Logs => append.logs = batch(kind, lines),
            _ => append.rejected = batch(kind, lines),
        }
        self.store.append(append).await.unwrap();
    }

    /// Stores samples, one a line as in `metrics.txt`.
    pub(crate) async fn append_samples(&self, tenant: &Tenant, lines: impl IntoIterator<Item = String>) {
        let mut append = Append::new(tenant.clone());
        let mut resolver = self.store.resolver(tenant).await.unwrap();
        for line in lines {
            push_sample(&line, &mut append.samples, &mut resolver);
        }
        self.store.append(append).await.unwrap();
    }

    /// The rows of an answer.
    pub(crate) async fn rows(&self, tenant: &Tenant, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.engine.sql(tenant, sql, SqlOptions::default()).await?.stream.try_collect().await
    }

    /// An answer as text: cells joined by ` | `, a line a row; null is empty.
    pub(crate) async fn text(&self, sql: &str) -> Result<String, QueryError> {
        Ok(print(&self.rows(&Tenant::default(), sql).await?))
    }
}

/// Cells joined by ` | `, a line a row.
pub(crate) fn print(batches: &[RecordBatch]) -> String {
    use arrow_cast::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default();
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| column.value(row).to_string()).collect();
            lines.push(cells.join(" | ").trim_end().to_owned());
        }
    }
    lines.join("\n")
}

struct Items {
    spans: Vec<String>,
    logs: Vec<String>,
    rejected: Vec<String>,
    metrics: Vec<String>,
}

impl Items {
    fn read() -> Self {
        let lines = |text: &str| {
            let wanted = |line: &&str| !line.is_empty() && !line.starts_with('#');
            text.lines().filter(wanted).map(str::to_owned).collect()
        };
        Self {
            spans: lines(include_str!("../data/spans.ndjson")),
            logs: lines(include_str!("../data/logs.ndjson")),
            rejected: lines(include_str!("../data/rejected.ndjson")),
            metrics: lines(include_str!("../data/metrics.txt")),
        }
    }
}

/// Lines of JSON in the batch types of a table; ids are hex.
pub(crate) fn batch(kind: Kind, lines: &[String]) -> Option<RecordBatch> {
    if lines.is_empty() {
        return None;
    }
    let table = Table::of(kind);
    let read = arrow_json::ReaderBuilder::new(Arc::clone(table.file_schema()))
        .with_batch_size(lines.len())
        .build(std::io::Cursor::new(lines.join("\n")))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let typed = read.columns().iter().enumerate().filter(|(_, column)| column.null_count() < column.len());
    let columns: Vec<(String, ArrayRef, bool)> = typed
        .map(|(at, column)| {
            let column = arrow_cast::cast(column, &batch_type(&table.columns[at].ty)).unwrap();
            (table.columns[at].name.to_owned(), column, table.columns[at].nullable)
        })
        .collect();
    Some(RecordBatch::try_from_iter_with_nullable(columns).unwrap())
}

/// `type name{a="b",…} value milliseconds [start milliseconds]`
fn push_sample(line: &str, samples: &mut SampleBatch, resolver: &mut isinglass_store::Resolver) {
    let (kind, rest) = line.split_once(' ').unwrap();
    let (name, rest) = rest.split_once('{').unwrap();
    let (labels, rest) = rest.split_once("} ").unwrap();
    let mut labels: Vec<(&str, &str)> = labels
        .split("\",")
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once("=\"").map(|(name, value)| (name, value.trim_end_matches('"'))).unwrap())
        .collect();
    labels.push((METRIC_NAME, name));
    let set = LabelSet::new(&mut labels, Temporality::Unspecified).unwrap();
    let series = resolver.intern_labels(set).unwrap().series;
    resolver
        .describe(name, &MetricMeta { metric_type: kind.into(), unit: String::new(), help: String::new() });
    let mut numbers = rest.split_whitespace();
    let value = match numbers.next().unwrap() {
        "stale" => f64::from_bits(STALE_NAN_BITS),
        number => number.parse().unwrap(),
    };
    let mut millis = || numbers.next().map_or(0, |number| number.parse().unwrap());
    let (time_ms, start_ms) = (millis(), millis());
    samples.push(series, time_ms, value, start_ms);
}

/// Three native histograms, the last of them a stale marker, and an exemplar of the first.
fn push_histograms(append: &mut Append, resolver: &mut isinglass_store::Resolver, from: usize, to: usize) {
    let mut labels = [(METRIC_NAME, "rpc_duration_seconds"), ("job", "web")];
    let set = LabelSet::new(&mut labels, Temporality::Unspecified).unwrap();
    let series = resolver.intern_labels(set).unwrap().series;
    let meta = MetricMeta { metric_type: "histogram".into(), ..MetricMeta::default() };
    resolver.describe("rpc_duration_seconds", &meta);
    for n in from..to.min(3) {
        let stale = n == 2;
        append.histograms.rows.push(HistogramRow {
            series,
            time_ms: 1_700_000_000_000 + 15_000 * n as i64,
            start_ms: 0,
            count: (!stale).then_some(3.0 + n as f64),
            sum: (!stale).then_some(0.5),
            schema: 3,
            zero_threshold: 1e-9,
            zero_count: 0.0,
            positive_spans: if stale { vec![] } else { vec![(0, 2)] },
            positive_buckets: if stale { vec![] } else { vec![1.0, 2.0 + n as f64] },
            negative_spans: vec![],
            negative_buckets: vec![],
            custom_bounds: vec![],
            reset_hint: "unknown",
            float: false,
            min: None,
            max: None,
        });
    }
    if from == 0 {
        let exemplars = &mut append.exemplars;
        exemplars.series.push(series);
        exemplars.time_ms.push(1_700_000_000_000);
        exemplars.value.push(0.25);
        let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
        exemplars.trace_id.push(Some(trace_id.to_be_bytes()));
        exemplars.span_id.push(Some(0xa2_u64.to_be_bytes()));
        exemplars.attributes.push(vec![("user".into(), "\"u1\"".into())]);
    }
}
