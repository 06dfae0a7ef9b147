//! `trace_tree(trace_id)`: the spans of a trace as a tree, depth first.

use std::fmt;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, Int32Builder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableType, col, lit};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::TryStreamExt;
use isinglass_model::Kind;
use isinglass_store::View;

use super::tree::{self, Node, Place};
use crate::table::KindTable;

/// Spans of one trace; beyond it the call fails instead of showing a part.
const SPANS_MAX: usize = 100_000;

/// Deepest indentation of `name`; deeper spans are in `depth` only.
const INDENT_MAX: usize = 100;

/// The function, for one view.
#[derive(Debug)]
pub(crate) struct TraceTree {
    view: Arc<View>,
}

impl TraceTree {
    pub(crate) fn new(view: Arc<View>) -> Self {
        Self { view }
    }
}

impl TableFunctionImpl for TraceTree {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let trace_id = match args.exprs() {
            [Expr::Literal(value, _)] => lit(checked(value)?),
            [subquery @ Expr::ScalarSubquery(_)] => subquery.clone(),
            _ => {
                return plan_err!(
                    "trace_tree takes a trace id, trace_tree('0af7651916cd43dd8448eb211c80319c'), or a subquery that finds one"
                );
            }
        };
        Ok(Arc::new(TraceTable { view: Arc::clone(&self.view), trace_id, schema: schema() }))
    }
}

fn checked(value: &ScalarValue) -> Result<String> {
    let Some(Some(text)) = value.try_as_str() else {
        return plan_err!("trace_tree takes a trace id as text, not {value}");
    };
    let trace_id = text.trim().to_ascii_lowercase();
    if trace_id.len() != 32 || !trace_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return plan_err!("a trace id has 32 hex digits, {text:?} is none");
    }
    Ok(trace_id)
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("depth", DataType::Int32, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("service", DataType::Utf8, false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("start_ms", DataType::Float64, false),
        Field::new("duration_ms", DataType::Float64, false),
        Field::new("self_ms", DataType::Float64, false),
        Field::new("status", DataType::Utf8, false),
        Field::new("span_id", DataType::Utf8, false),
        Field::new("parent_span_id", DataType::Utf8, true),
    ]))
}

/// Columns of `spans` that the tree is made of, in the order [`Spans`] wants.
const COLUMNS: [&str; 8] =
    ["span_id", "parent_span_id", "time", "duration", "name", "service", "kind", "status"];

#[derive(Debug)]
struct TraceTable {
    view: Arc<View>,
    /// A constant or a subquery.
    trace_id: Expr,
    schema: SchemaRef,
}

#[async_trait]
impl TableProvider for TraceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let spans = KindTable::new(Arc::clone(&self.view), Kind::Spans);
        let wanted = LogicalPlanBuilder::scan("spans", provider_as_source(Arc::new(spans)), None)?
            .filter(col("trace_id").eq(self.trace_id.clone()))?
            .project(COLUMNS.map(col))?
            .build()?;
        let input = session.create_physical_plan(&wanted).await?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        Ok(Arc::new(TreeExec::try_new(Arc::new(CoalescePartitionsExec::new(input)), projection)?))
    }
}

/// Reads all spans of a trace, then prints them in order.
#[derive(Debug)]
struct TreeExec {
    input: Arc<dyn ExecutionPlan>,
    projection: Vec<usize>,
    properties: Arc<PlanProperties>,
}

impl TreeExec {
    fn try_new(input: Arc<dyn ExecutionPlan>, projection: Vec<usize>) -> Result<Self> {
        let schema = Arc::new(schema().project(&projection)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { input, projection, properties: Arc::new(properties) })
    }
}

impl DisplayAs for TreeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TraceTreeExec")
    }
}

impl ExecutionPlan for TreeExec {
    fn name(&self) -> &'static str {
        "TraceTreeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] =
            <[_; 1]>::try_from(children).or_else(|_| internal_err!("TraceTreeExec has one child"))?;
        Ok(Arc::new(Self::try_new(input, self.projection.clone())?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode::Recompute;
        self.replace_children(children, ReplaceChildrenOptions::new(Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let projection = self.projection.clone();
        let tree = futures::stream::once(async move {
            let spans = Spans::read(input).await?;
            let printed = spans.print(&tree::order(&spans.nodes))?;
            Ok(printed.project(&projection)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), tree)))
    }
}

/// The spans of a trace.
#[derive(Debug, Default)]
struct Spans {
    nodes: Vec<Node>,
    /// name, service, kind, status
    texts: Vec<[String; 4]>,
}

impl Spans {
    async fn read(mut input: SendableRecordBatchStream) -> Result<Self> {
        let mut spans = Self::default();
        while let Some(batch) = input.try_next().await? {
            if spans.nodes.len() + batch.num_rows() > SPANS_MAX {
                return exec_err!(
                    "the trace has more than {SPANS_MAX} spans, which is the limit of trace_tree"
                );
            }
            spans.push(&batch)?;
        }
        Ok(spans)
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |at: usize| {
            Ok::<_, datafusion::common::DataFusionError>(arrow_cast::cast(batch.column(at), &DataType::Utf8)?)
        };
        let texts = [text(0)?, text(1)?, text(4)?, text(5)?, text(6)?, text(7)?];
        let [span_id, parent, name, service, kind, status] =
            texts.each_ref().map(|array| array.as_string::<i32>());
        let times = batch.column(2).as_primitive_opt::<TimestampNanosecondType>();
        let durations = batch.column(3).as_primitive_opt::<Int64Type>();
        let (Some(times), Some(durations)) = (times, durations) else {
            return internal_err!("unexpected types of time and duration");
        };
        for row in 0..batch.num_rows() {
            self.nodes.push(Node {
                span_id: span_id.value(row).to_owned(),
                parent: parent.is_valid(row).then(|| parent.value(row).to_owned()),
                start_nanos: times.value(row),
                duration_nanos: durations.value(row),
            });
            self.texts.push([name, service, kind, status].map(|array| array.value(row).to_owned()));
        }
        Ok(())
    }

    fn print(&self, places: &[Place]) -> Result<RecordBatch> {
        let start = self.nodes.iter().map(|node| node.start_nanos).min().unwrap_or_default();
        let nodes = || places.iter().map(|place| &self.nodes[place.span]);
        let millis = |nanos: &mut dyn Iterator<Item = i64>| -> ArrayRef {
            let mut millis = Float64Builder::with_capacity(places.len());
            nanos.for_each(|nanos| millis.append_value(nanos as f64 / 1e6));
            Arc::new(millis.finish())
        };
        let texts = |at: usize| -> ArrayRef {
            let mut texts = StringBuilder::new();
            places.iter().for_each(|place| texts.append_value(&self.texts[place.span][at]));
            Arc::new(texts.finish())
        };
        let mut depth = Int32Builder::with_capacity(places.len());
        let (mut span_id, mut parent) = (StringBuilder::new(), StringBuilder::new());
        for place in places {
            depth.append_value(i32::try_from(place.depth).unwrap_or(i32::MAX));
            span_id.append_value(&self.nodes[place.span].span_id);
            parent.append_option(self.nodes[place.span].parent.as_deref());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(depth.finish()),
            self.names(places),
            texts(1),
            texts(2),
            millis(&mut nodes().map(|node| node.start_nanos.saturating_sub(start))),
            millis(&mut nodes().map(|node| node.duration_nanos)),
            millis(&mut places.iter().map(|place| place.self_nanos)),
            texts(3),
            Arc::new(span_id.finish()),
            Arc::new(parent.finish()),
        ];
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        Ok(RecordBatch::try_new_with_options(schema(), columns, &options)?)
    }

    /// Names, two spaces further to the right a level.
    fn names(&self, places: &[Place]) -> ArrayRef {
        let mut names = StringBuilder::new();
        for place in places {
            let indent = 2 * place.depth.min(INDENT_MAX);
            names.append_value(format!("{:indent$}{}", "", self.texts[place.span][0]));
        }
        Arc::new(names.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        let text = |text: &str| checked(&ScalarValue::Utf8(Some(text.to_owned())));
        assert_eq!(text(&"AB".repeat(16)).unwrap(), "ab".repeat(16));
        assert!(text("ab").is_err());
        assert!(text(&"é".repeat(16)).is_err());
        assert!(checked(&ScalarValue::Int64(Some(1))).is_err());
        assert!(checked(&ScalarValue::Utf8(None)).is_err());
    }
}
