//! Series in the order of their labels, which is that of Prometheus' blocks.
//!
//! A source gives series in an order of its own: that of their ids in files. Which of equal values
//! `topk` keeps, and which of them `sort` puts first, must not depend on it. Where a query has such
//! an expression ([`Context::order_matters`]), whoever collects series as they were read puts them
//! in order; what comes after has an order that follows from that.

use isinglass_lang::promql::ast::{AggregateOp, BinaryOp};

use super::{Boxed, Context, Operator, collect, open};
use crate::block::{Block, Row};
use crate::error::Result;
use crate::grid::Grid;
use crate::order::sorted_by;
use crate::plan::{Set, Vector, WindowInput};

/// Whether the series of a plan come in the order in which the source gives them, with its labels.
/// (`label_replace` and `label_join` read in order where that matters, see [`input`].)
pub(super) fn is_as_read(plan: &Vector) -> bool {
    match plan {
        Vector::Select(..) => true,
        Vector::Window(window) => match &window.input {
            WindowInput::Samples(_) => true,
            WindowInput::Subquery(subquery) => is_as_read(&subquery.plan),
        },
        Vector::Map(map) => is_as_read(&map.input),
        Vector::WithScalar(both) => is_as_read(&both.vector),
        Vector::Invariant(inner) => is_as_read(inner),
        Vector::Set(set) => {
            let Set { op, left, .. } = &**set;
            *op != BinaryOp::Or && is_as_read(left)
        }
        Vector::Aggregate(aggregate) => {
            aggregate.op == AggregateOp::LimitRatio && is_as_read(&aggregate.input)
        }
        _ => false,
    }
}

/// Whether what a plan gives has to be put in order.
pub(super) fn is_wanted(plan: &Vector, cx: &Context<'_>) -> bool {
    cx.order_matters && is_as_read(plan)
}

/// The series of a plan, in order where that matters.
pub(super) fn input<'a>(plan: &'a Vector, grid: Grid, cx: &'a Context<'a>) -> Result<Boxed<'a>> {
    if is_wanted(plan, cx) {
        Ok(Box::new(Ordered { plan, grid, cx, done: false }))
    } else {
        open(plan, grid, cx)
    }
}

/// Gives all series of a plan at once, in order.
struct Ordered<'a> {
    plan: &'a Vector,
    grid: Grid,
    cx: &'a Context<'a>,
    done: bool,
}

impl Operator for Ordered<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (all, _held) = collect(self.plan, self.grid, self.cx)?;
        Ok((!all.is_empty()).then_some(all))
    }
}

/// The rows of a block in the order of their labels.
pub(super) fn by_labels(block: Block, cx: &Context<'_>) -> Result<Block> {
    let labels = |row: &usize| &block.rows[*row].labels;
    let order: Vec<usize> = (0..block.rows.len()).collect();
    if order.is_sorted_by_key(labels) {
        return Ok(block);
    }
    let order = sorted_by(order, |one, other| labels(one).cmp(labels(other)), || cx.check())?;
    permuted(block, &order, cx)
}

/// The rows of a block in another order, which names each of them once.
pub(super) fn permuted(block: Block, order: &[usize], cx: &Context<'_>) -> Result<Block> {
    let mut held = cx.holds_nothing();
    held.grow(size_of_val(&block.values[..]))?;
    let Block { steps, rows, values } = block;
    let mut rows: Vec<Option<Row>> = rows.into_iter().map(Some).collect();
    let mut out = Block::new(steps);
    out.values.reserve_exact(values.len());
    for (at, row) in order.iter().enumerate() {
        cx.check_at(at)?;
        if let Some(taken) = rows[*row].take() {
            out.rows.push(taken);
            out.values.extend_from_slice(&values[row * steps..][..steps]);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use crate::error::Result;
    use crate::source::{Selection, SeriesSamples, SeriesStream, Source};
    use crate::{Labels, MemorySource, Options, instant, range};

    /// As files have them: in an order that has nothing to do with labels, in several parts.
    struct Shuffled(MemorySource);

    struct One {
        labels: Labels,
        times: Vec<i64>,
        values: Vec<f64>,
    }

    struct Stream(Vec<One>, Option<One>);

    impl SeriesStream for Stream {
        fn next(&mut self) -> Result<Option<SeriesSamples<'_>>> {
            self.1 = self.0.pop();
            Ok(self.1.as_ref().map(|one| SeriesSamples {
                labels: &one.labels,
                times: &one.times,
                values: &one.values,
                starts: &[],
                histograms: &[],
            }))
        }
    }

    impl Source for Shuffled {
        fn select(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>> {
            let mut all = Vec::new();
            for mut part in self.0.select(selection, 1)? {
                while let Some(one) = part.next()? {
                    let (times, values) = (one.times.to_vec(), one.values.to_vec());
                    all.push(One { labels: one.labels.clone(), times, values });
                }
            }
            all.sort_by_key(|one| crate::hash::prometheus_hash(&one.labels));
            let mut streams: Vec<Stream> = (0..parts).map(|_| Stream(Vec::new(), None)).collect();
            for (at, one) in all.into_iter().enumerate() {
                streams[at % parts].0.push(one);
            }
            Ok(streams.into_iter().map(|stream| Box::new(stream) as Box<dyn SeriesStream>).collect())
        }
    }

    const STEPS: i64 = 3;

    /// Few values, so that most are equal to many others.
    fn source(series: i64) -> MemorySource {
        let mut source = MemorySource::default();
        for series in 0..series {
            let (job, instance) = (format!("j{}", series % 7), format!("i{series}"));
            for metric in ["m", "n"] {
                let labels = Labels::new([("__name__", metric), ("job", &job), ("instance", &instance)]);
                let value = |step| ((series * 31 + step * 17) % 89 / 20) as f64;
                source.add_floats(&labels, (0..STEPS).collect(), (0..STEPS).map(value).collect());
            }
        }
        source
    }

    fn check(series: i64, queries: &[&str]) {
        let (ordered, shuffled) = (source(series), Shuffled(source(series)));
        let options = Options { parts: 3, ..Options::default() };
        for query in queries {
            let at = |source: &dyn Source| instant(query, 2, source, &options, &|| None).unwrap().value;
            assert_eq!(at(&ordered), at(&shuffled), "{query}");
            let over =
                |source: &dyn Source| range(query, (0, STEPS, 1), source, &options, &|| None).unwrap().value;
            assert_eq!(over(&ordered), over(&shuffled), "{query}");
        }
    }

    #[test]
    fn ties_do_not_depend_on_how_series_are_read() {
        let queries = [
            "topk(3, label_replace(m, \"instance\", \"$1\", \"instance\", \"i(.*)\"))",
            "topk(3, m * on (job, instance) n)",
            "topk(3, m or n)",
            "topk(3, m unless n > 3)",
            "limitk(3, sum by (instance) ({job=~\"j1|j2\"}))",
            "topk(3, sum by (job) (m > 2) > bool 0)",
            "topk(4, max_over_time(m[2ms:1ms]))",
            "topk(4, limit_ratio(0.5, m))",
            "topk(4, count_values by (instance) (\"v\", m))",
            "sort(m)",
            "sort_desc(m)",
            "sum(topk(5, m))",
            "limitk(2, sort(m))",
            "scalar(limitk(1, m))",
            "topk(2, m @ 0.001)",
        ];
        check(200, &queries);
    }

    /// So many that those without a place go before the last is read.
    #[test]
    fn nor_do_they_where_series_are_many() {
        check(4_500, &["bottomk(5, m)", "topk by (job) (2, m)"]);
    }
}
