//! Columns of attributes say what the map says, or are not in the tag.

use std::sync::Arc;

use arrow_array::builder::StringDictionaryBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{Array as _, ArrayRef, Int64Array, MapArray, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use isinglass_model::Kind;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use proptest::prelude::*;

use super::files::{merge_all, options, outputs, put, rows_of, tenant};
use super::model::{self, row_texts};
use crate::files::merge::attributes::tests::{Row, map_of};
use crate::files::merge::{MergeOptions, Merged};
use crate::files::parquet::tests::{Source, bytes_of};
use crate::files::tests::{clock, reach};
use crate::files::{Tables, parquet};
use crate::tables::AttributeValues::{Number, Text, Unusable};
use crate::tables::{AttributeColumn, AttributeValues, DataFile, Rewrite, SortedRows, TableFiles as _};

/// The value of the first entry of a row with this key.
fn value_of<'a>(map: &'a MapArray, row: usize, key: &str) -> Option<&'a str> {
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    if map.is_null(row) {
        return None;
    }
    let mut entries = map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
    let entry = entries.find(|entry| keys.value(*entry) == key)?;
    values.is_valid(entry).then(|| values.value(entry))
}

/// Every column that the tag names is what the map says, row by row, and numbers are what
/// Arrow's cast makes of the texts, bit for bit.
pub(super) fn check_columns(rows: &RecordBatch, columns: &[AttributeColumn]) {
    for column in columns {
        let map = rows["attributes"].as_map();
        let texts: StringArray =
            (0..rows.num_rows()).map(|row| value_of(map, row, &column.key)).collect::<Vec<_>>().into();
        let found = &rows[column.name().as_str()];
        match column.values {
            Text => assert_eq!(found.as_string::<i32>(), &texts, "{}", column.key),
            Number => {
                let wanted = cast(&texts, &DataType::Float64).unwrap();
                let bits = |array: &ArrayRef| -> Vec<Option<u64>> {
                    array.as_primitive::<Float64Type>().iter().map(|n| n.map(f64::to_bits)).collect()
                };
                assert_eq!(wanted.null_count(), texts.null_count(), "{} has texts", column.key);
                assert_eq!(bits(found), bits(&wanted), "{}", column.key);
            }
            Unusable => {}
        }
    }
    assert!(columns.is_sorted_by(|a, b| a.key < b.key));
}

/// A service and a line of it.
type Line = (&'static str, Row);

/// These log lines, a nanosecond after each other.
fn batch_of(lines: &[Line]) -> RecordBatch {
    let mut services = StringDictionaryBuilder::<Int32Type>::new();
    lines.iter().for_each(|(service, _)| services.append_value(service));
    let mut streams = StringDictionaryBuilder::<Int32Type>::new();
    lines.iter().for_each(|_| streams.append_value("{}"));
    let rows: Vec<Row> = lines.iter().map(|(_, row)| row.clone()).collect();
    let columns: [(&str, ArrayRef); 5] = [
        ("time", Arc::new(Int64Array::from_iter_values(0..lines.len() as i64))),
        ("service", Arc::new(services.finish())),
        ("stream", Arc::new(streams.finish())),
        ("body", Arc::new(StringArray::from_iter_values(lines.iter().map(|_| "line")))),
        ("attributes", Arc::new(map_of(&rows))),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), *name == "attributes"))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

/// A file of them.
fn file_of(lines: &[Line]) -> Bytes {
    bytes_of(&parquet::encode(Kind::Logs, SortedRows::Batches(vec![batch_of(lines)])).unwrap())
}

fn store() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

/// The bytes of an output.
async fn bytes_out(objects: &Arc<dyn ObjectStore>, merged: &Merged, at: usize) -> Bytes {
    let path = Path::parse(format!("{}/logs/{}", tenant(), merged.files[at].name)).unwrap();
    objects.get(&path).await.unwrap().bytes().await.unwrap()
}

/// Files of lines.
async fn put_all(objects: &Arc<dyn ObjectStore>, files: &[Vec<Line>]) -> Vec<DataFile> {
    let mut inputs = Vec::new();
    for (number, lines) in files.iter().enumerate() {
        inputs.push(put(objects, Kind::Logs, number, file_of(lines)).await);
    }
    inputs
}

/// Merges them; [`outputs`] looks at every column of the result.
async fn merged(objects: &Arc<dyn ObjectStore>, files: &[Vec<Line>], options: &MergeOptions) -> Merged {
    let inputs = put_all(objects, files).await;
    let merged = merge_all(objects, Kind::Logs, &inputs, options).await.unwrap();
    outputs(objects, Kind::Logs, &merged).await;
    merged
}

fn tagged(merged: &Merged) -> Vec<(&str, AttributeValues)> {
    assert_eq!(merged.files.len(), 1);
    merged.files[0].attribute_columns.iter().map(|column| (column.key.as_str(), column.values)).collect()
}

fn entry(key: &str, value: impl ToString) -> (String, Option<String>) {
    (key.to_owned(), Some(value.to_string()))
}

/// A line as many programs write it.
fn request(n: usize, source: &mut Source) -> Row {
    let paths = ["/", "/cart", "/login", "/orders", "/orders/list", "/health"];
    let client = format!("\"10.{}.{}.{}\"", source.below(256), source.below(256), source.below(256));
    Some(vec![
        entry("status", [200, 404, 500][source.below(3) as usize]),
        entry("method", ["\"GET\"", "\"POST\""][n % 2]),
        entry("path", format!("{:?}", paths[source.below(6) as usize])),
        entry("duration_ms", format!("{:.2}", source.below(30_000) as f64 / 100.0)),
        entry("client", client),
    ])
}

fn requests(service: &'static str, lines: usize, seed: u64) -> Vec<Line> {
    let mut source = Source(seed);
    (0..lines).map(|n| (service, request(n, &mut source))).collect()
}

const REQUEST: [(&str, AttributeValues); 4] =
    [("duration_ms", Number), ("method", Text), ("path", Text), ("status", Text)];

#[tokio::test]
async fn what_many_lines_have_gets_a_column_and_addresses_do_not() {
    let objects = store();
    let files = [requests("a", 3_000, 5), requests("a", 2_000, 6)];
    let done = merged(&objects, &files, &options()).await;
    assert_eq!(tagged(&done), REQUEST);
    let rows = rows_of(bytes_out(&objects, &done, 0).await);
    let names: Vec<&str> = REQUEST.iter().map(|(key, _)| *key).collect();
    let beside: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .filter(|name| AttributeColumn::is_name(name))
        .collect();
    let wanted: Vec<String> = names.iter().map(|key| format!("attributes['{key}']")).collect();
    assert_eq!(beside, wanted);

    let few = merged(&objects, &files, &MergeOptions { attribute_columns_max: 2, ..options() }).await;
    assert_eq!(tagged(&few), REQUEST[..2]);
    let none = merged(&objects, &files, &MergeOptions { attribute_columns_max: 0, ..options() }).await;
    assert_eq!(tagged(&none), []);
    let rows = rows_of(bytes_out(&objects, &none, 0).await);
    assert!(rows.schema().fields().iter().all(|field| !AttributeColumn::is_name(field.name())));
}

/// Rows come sorted by service, and the keys of the last one are not to be seen in the first.
#[tokio::test]
async fn keys_of_a_service_that_comes_last() {
    let mut lines: Vec<Line> = (0..36_000).map(|_| ("a", None)).collect();
    lines.extend(requests("z", 4_000, 7));
    assert_eq!(tagged(&merged(&store(), &[lines], &options()).await), REQUEST);
}

/// A merge that needs several passes looks at what the last of them merges.
#[tokio::test]
async fn columns_are_made_in_the_last_pass() {
    let files: Vec<Vec<Line>> = (1..40).map(|seed| requests("a", 100, seed)).collect();
    let done = merged(&store(), &files, &MergeOptions { memory_bytes: 1 << 20, ..options() }).await;
    assert_eq!(tagged(&done), REQUEST);
}

/// Files with columns, of other keys even, merge with files without.
#[tokio::test]
async fn files_with_such_columns_are_merged_by_the_columns_of_the_table() {
    let objects = store();
    let first = merged(&objects, &[requests("a", 500, 3)], &options()).await;
    assert_eq!(tagged(&first), REQUEST);
    let with = put(&objects, Kind::Logs, 7, bytes_out(&objects, &first, 0).await).await;
    let other = (0..500).map(|n| ("b", Some(vec![entry("other", n % 3)]))).collect::<Vec<_>>();
    let without = put(&objects, Kind::Logs, 8, file_of(&other)).await;
    let done = merge_all(&objects, Kind::Logs, &[with.clone(), without.clone()], &options()).await.unwrap();
    let [(a, text_a), rest @ ..] = REQUEST;
    assert_eq!(tagged(&done), [(a, text_a), rest[0], ("other", Text), rest[1], rest[2]]);
    let mut inputs = Vec::new();
    for file in [with, without] {
        inputs.push(rows_of(objects.get(&file.path).await.unwrap().bytes().await.unwrap()));
    }
    let expected = model::merged(Kind::Logs, &inputs, None, None).rows;
    let found: Vec<String> = outputs(&objects, Kind::Logs, &done)
        .await
        .iter()
        .flat_map(|rows| row_texts(Kind::Logs, rows))
        .collect();
    assert_eq!(found, expected);
}

/// Only a few rows are looked at, and these are not among them.
const UNSEEN: [usize; 3] = [0, 20_000, 39_999];
const SECOND: usize = 18_000;

#[tokio::test]
async fn a_number_that_turns_out_to_be_none_is_given_up() {
    for (unseen, text) in UNSEEN.into_iter().zip(["\"1\"", "", "NaN"]) {
        let line = |n: usize| {
            let value = if n == unseen { text.to_owned() } else { format!("{n}.5") };
            // Rows are written chunk by chunk, and the second begins with the second service.
            (if n < SECOND { "a" } else { "b" }, Some(vec![entry("n", value), entry("t", n % 2)]))
        };
        let objects = store();
        let done = merged(&objects, &[(0..40_000).map(line).collect()], &options()).await;
        assert_eq!(tagged(&done), [("n", Unusable), ("t", Text)], "row {unseen}");
        // What is in the file of it says nothing.
        let rows = rows_of(bytes_out(&objects, &done, 0).await);
        let given_up = rows["attributes['n']"].as_primitive::<Float64Type>();
        assert!((unseen..40_000).all(|row| given_up.is_null(row)));
        assert_eq!(given_up.is_valid(0), unseen > SECOND, "row {unseen}");
    }
}

/// Which values a file has is counted within the memory of the merge.
#[tokio::test]
async fn texts_that_turn_out_to_be_many_are_given_up() {
    let line = |n: usize| {
        let seen = (n % 2_500).abs_diff(1_250) < 300;
        let value = if seen { format!("\"{}\"", n % 7) } else { format!("\"{n}\"") };
        ("a", Some(vec![entry("many", value), entry("few", n % 2)]))
    };
    let lines: Vec<Line> = (0..40_000).map(line).collect();
    let options = MergeOptions { memory_bytes: 4 << 20, ..options() };
    assert_eq!(tagged(&merged(&store(), &[lines], &options).await), [("few", Text), ("many", Unusable)]);
}

/// What the columns say of a file holds for that file.
#[tokio::test]
async fn each_file_of_a_merge_gives_up_for_itself() {
    let line = |n: usize| {
        let value = if n == UNSEEN[2] { "\"text\"".to_owned() } else { format!("{n}.5") };
        (if n < 20_000 { "a" } else { "b" }, Some(vec![entry("n", value)]))
    };
    let objects = store();
    let options = MergeOptions { file_bytes: 1, ..options() };
    let done = merged(&objects, &[(0..40_000).map(line).collect()], &options).await;
    let columns: Vec<_> = done.files.iter().map(|file| file.attribute_columns[0].values).collect();
    assert!(columns.len() > 1);
    let (last, before) = columns.split_last().unwrap();
    assert!(*last == Unusable && before.iter().all(|values| *values == Number), "{columns:?}");
}

/// What one key may hold in one file.
fn value(source: &mut Source, kind: u64) -> Option<String> {
    let text = match (kind, source.below(40)) {
        (_, 0) => return None,
        (0, n) => format!("\"{}\"", n % 5),
        (1, 1) => {
            ["-0", "1e999", "-1E-7", "  7 ", "+3", "1.", ".5", "inf", "0x10", "1_000", "5e", "NaN", "\"7\""]
                [source.below(13) as usize]
                .to_owned()
        }
        (1 | 2, n) if n % 2 == 0 => format!("{}.{:02}", source.below(1_000), source.below(100)),
        (1 | 2, _) => (source.next() as i64 - (1 << 40)).to_string(),
        _ => format!("\"{:x}\"", source.next()),
    };
    Some(text)
}

fn random_row(source: &mut Source) -> Row {
    if source.chance(10) {
        return None;
    }
    let entries = source.below(8);
    let one = |source: &mut Source| {
        let kind = source.below(4);
        (["text", "mixed", "number", "id.of['x']"][kind as usize].to_owned(), value(source, kind))
    };
    Some((0..entries).map(|_| one(source)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn columns_say_what_the_map_says(
        seed in any::<u64>(), files in 1_usize..4, rows in 1_usize..150, small in any::<bool>(),
    ) {
        let mut source = Source(seed | 1);
        let mut lines = || {
            let mut lines: Vec<Line> =
                (0..rows).map(|_| (["a", "b"][source.below(2) as usize], random_row(&mut source))).collect();
            lines.sort_by_key(|line| line.0);
            lines
        };
        let files: Vec<Vec<Line>> = (0..files).map(|_| lines()).collect();
        let options = MergeOptions { memory_bytes: if small { 1 << 20 } else { 64 << 20 }, ..options() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let done = runtime.block_on(merged(&store(), &files, &options));
        if rows >= 100 {
            let keys: Vec<&str> = tagged(&done).iter().map(|(key, _)| *key).collect();
            prop_assert!(keys.contains(&"text") && keys.contains(&"number"), "{:?}", keys);
            prop_assert!(!keys.contains(&"id.of['x']"), "{:?}", keys);
        }
    }
}

/// Bytes of a log line that its columns take: of `duration_ms` alone 1.9 are information.
#[tokio::test]
async fn columns_of_requests_take_few_bytes() {
    let objects = store();
    let files: Vec<Vec<Line>> = (1..3).map(|seed| requests("a", 16_000, seed)).collect();
    let inputs = put_all(&objects, &files).await;
    let of = async |options: &MergeOptions| {
        let merged = merge_all(&objects, Kind::Logs, &inputs, options).await.unwrap();
        merged.files[0].size_bytes as f64 / 32_000.0
    };
    for zstd_level in [1, 12] {
        let options = MergeOptions { zstd_level, ..options() };
        let with = of(&options).await;
        let without = of(&MergeOptions { attribute_columns_max: 0, ..options }).await;
        eprintln!("zstd {zstd_level}: {with:.2} B a line, {without:.2} without");
        assert!(with - without < 5.0);
    }
}

/// Of a table of two flushes and their merge, what a process reads that starts anew.
async fn columns_in_log(objects: &Arc<dyn ObjectStore>) -> Vec<(String, AttributeValues)> {
    let tables = Tables::on(Arc::clone(objects), clock());
    let state = tables.load(&tenant(), Kind::Logs).await.unwrap().unwrap();
    let columns = state.files.iter().flat_map(|file| file.attribute_columns.iter());
    columns.map(|column| (column.key.clone(), column.values)).collect()
}

async fn flush_and_merge(tables: &Tables) {
    for up_to in 1..3 {
        let rows = SortedRows::Batches(vec![batch_of(&requests("a", 100, up_to))]);
        tables.commit(&tenant(), Kind::Logs, rows, reach(up_to - 1, up_to)).await.unwrap();
    }
    let flushed = tables.load(&tenant(), Kind::Logs).await.unwrap().unwrap();
    assert!(flushed.files.iter().all(|file| file.attribute_columns.is_empty()));
    let rewrite = Rewrite {
        inputs: flushed.files.to_vec(),
        level: 1,
        drop_all: false,
        keep_from: None,
        drop_rows: None,
        kept: None,
        ha: None,
        zstd_level: 1,
        file_bytes: 1 << 20,
        memory_bytes: 16 << 20,
        attribute_columns_max: 16,
    };
    let gate = tokio::sync::Mutex::new(());
    let done = tables.rewrite(&tenant(), Kind::Logs, &rewrite, &gate, &|_| ()).await.unwrap();
    assert_eq!(done.unwrap().rows_out, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_survive_the_log_and_its_checkpoint() {
    let objects = store();
    let tables = Tables::on(Arc::clone(&objects), clock());
    flush_and_merge(&tables).await;
    let wanted = REQUEST.map(|(key, values)| (key.to_owned(), values));
    assert_eq!(columns_in_log(&objects).await, wanted);
    tables.checkpoint(&tenant(), Kind::Logs).await;
    let log = format!("{}/logs/_delta_log", tenant());
    let hint = Path::parse(format!("{log}/_last_checkpoint")).unwrap();
    objects.head(&hint).await.unwrap();
    // Without the commits, which would say it too.
    for version in 0..3 {
        let commit = Path::parse(format!("{log}/{version:020}.json")).unwrap();
        objects.delete(&commit).await.unwrap();
    }
    assert_eq!(columns_in_log(&objects).await, wanted);
}
