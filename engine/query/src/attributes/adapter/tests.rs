//! Of one table some files have an attribute as texts, some as numbers, some in the map alone.
//! What is asked is answered alike from all of them.

use std::sync::Arc;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::collect;
use isinglass_model::Kind;
use isinglass_store::{AttributeColumn, AttributeValues, DataFile};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::attributes::Wanted;
use crate::functions::{MapValue, Part};
use crate::objects::OnlyTables;
use crate::table::{Layout, Means, RowsWanted, Scan};

pub(crate) fn file(path: &str) -> DataFile {
    DataFile {
        path: path.into(),
        size_bytes: 0,
        rows: 3,
        time: Some((1, 3)),
        metric_id: None,
        level: 1,
        accepted: 0,
        kept: None,
        crc32c: None,
        token_index_bytes: None,
        attribute_columns: Arc::default(),
    }
}

/// Values of `a` in three rows.
type Values = [Option<&'static str>; 3];

const NUMBERS: Values = [Some("12.5"), None, Some("-3")];
const MIXED: Values = [Some("7"), Some("\"x\""), None];

fn map(values: Values) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for value in values {
        for (key, value) in [("before", Some("1")), ("a", value)] {
            if let Some(value) = value {
                map.keys().append_value(key);
                map.values().append_value(value);
            }
        }
        map.append(true).unwrap();
    }
    Arc::new(map.finish())
}

fn parquet(values: Values, column: Option<AttributeValues>) -> Vec<u8> {
    let mut columns: Vec<(String, ArrayRef)> =
        vec![("time".into(), Arc::new(Int64Array::from(vec![1, 2, 3]))), ("attributes".into(), map(values))];
    let own: Option<ArrayRef> = match column {
        None => None,
        Some(AttributeValues::Number) => {
            let numbers = values.map(|value| value.and_then(|text| text.parse::<f64>().ok()));
            Some(Arc::new(Float64Array::from(numbers.to_vec())))
        }
        Some(_) => Some(Arc::new(StringArray::from(values.to_vec()))),
    };
    columns.extend(own.map(|own| (AttributeColumn::name_of("a"), own)));
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn wanted(part: Part) -> Wanted {
    let layout = Layout::of(Kind::Logs);
    let map: Arc<dyn PhysicalExpr> =
        Arc::new(Column::new("attributes", layout.read_position("attributes").unwrap()));
    let name = Arc::new(Literal::new(ScalarValue::from("a")));
    let call = ScalarFunctionExpr::try_new(
        MapValue::function(part),
        vec![Arc::clone(&map), name],
        &layout.read,
        Arc::new(ConfigOptions::default()),
    );
    Wanted::of(&(Arc::new(call.unwrap()) as _), map, &layout.read).unwrap().unwrap()
}

/// Text, number and text that is no number of `a`, row by row, as a scan of the file gives them.
async fn scanned(bytes: Vec<u8>, parts: &[Part]) -> Vec<ArrayRef> {
    let objects = InMemory::new();
    let file = DataFile { size_bytes: bytes.len() as u64, ..file("default/logs/a.parquet") };
    objects.put(&file.path, bytes.into()).await.unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(objects);
    let runtime = RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(OnlyTables(objects)));
    let session = SessionStateBuilder::new().with_runtime_env(runtime.build_arc().unwrap()).build();
    let layout = Layout::of(Kind::Logs);
    let scan = Scan {
        layout,
        columns: vec![layout.read_position("time").unwrap()],
        pruning: Vec::new(),
        exactly: None,
        metric_id: None,
        series_ids: None,
        limit: None,
        rows: &RowsWanted::default(),
        attributes: parts.iter().map(|part| wanted(*part)).collect(),
    };
    let plan = scan.files(&[&file], &Means::of(&session)).unwrap();
    let batches = collect(plan, session.task_ctx()).await.unwrap();
    assert_eq!(batches.len(), 1);
    batches[0].columns()[1..].to_vec()
}

async fn check(values: Values, column: Option<AttributeValues>) {
    let parts = [Part::Text, Part::Number, Part::NoNumber];
    let columns = scanned(parquet(values, column), &parts).await;
    for row in 0..values.len() {
        let number = values[row].and_then(|text| text.parse::<f64>().ok());
        let text = |at: usize| {
            let column = columns[at].as_string_view();
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let case = format!("{values:?} as {column:?}, row {row}");
        assert_eq!(text(0).as_deref(), values[row], "{case}");
        let numbers = columns[1].as_primitive::<Float64Type>();
        assert_eq!(numbers.is_valid(row).then(|| numbers.value(row)), number, "{case}");
        assert_eq!(text(2).as_deref(), values[row].filter(|_| number.is_none()), "{case}");
    }
    // Each of them alone: the map is not there for the others.
    for (part, together) in parts.iter().zip(&columns) {
        let alone = scanned(parquet(values, column), &[*part]).await;
        assert_eq!(&alone[0], together);
        assert_eq!(alone[0].data_type(), &part.data_type());
    }
}

#[tokio::test]
async fn all_files_answer_alike() {
    check(NUMBERS, None).await;
    check(NUMBERS, Some(AttributeValues::Text)).await;
    check(NUMBERS, Some(AttributeValues::Number)).await;
    check(MIXED, None).await;
    check(MIXED, Some(AttributeValues::Text)).await;
}

#[test]
fn types_of_the_parts() {
    assert_eq!(wanted(Part::Text).field.data_type(), &DataType::Utf8View);
    assert_eq!(wanted(Part::Number).field.name(), "number(attributes['a'])");
}
