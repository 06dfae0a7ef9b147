use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::ParquetMetaDataReader;
use datafusion::parquet::file::properties::WriterProperties;

use super::*;

/// Four rows in two row groups.
fn footer() -> (Schema, ParquetMetaData) {
    let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let long = "x".repeat(200);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("none", text([None; 4]), true),
        ("same", text([Some("a"); 4]), true),
        ("gaps", text([Some("a"), None, Some("a"), Some("a")]), true),
        ("two", text([Some("a"), Some("a"), Some("b"), Some("b")]), true),
        ("long", text([Some(&long); 4]), true),
        ("plain", text([Some("a"); 4]), true),
        ("number", Arc::new(Int64Array::from(vec![7; 4])) as ArrayRef, true),
    ]);
    let batch = batch.unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(2))
        .set_column_dictionary_enabled("plain".into(), false)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    let bytes = Bytes::from(writer.into_inner().unwrap());
    let schema = batch.schema();
    let read = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8 => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8View)),
        _ => Arc::clone(field),
    });
    let read = Schema::new(read.collect::<Vec<_>>());
    (read, ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap())
}

#[test]
fn constants_of_all_row_groups() {
    let (read, footer) = footer();
    for selected in [4, 3] {
        let mut known = Statistics::new_unknown(&read);
        known.num_rows = Precision::Inexact(selected);
        add_constants(&mut known, &footer, &read, 0..read.fields().len());
        let columns = read.fields().iter().zip(&known.column_statistics);
        let found: Vec<_> = columns
            .filter(|(_, column)| column.null_count != Precision::Absent)
            .map(|(field, column)| {
                (field.name().as_str(), column.null_count, column.min_value.get_value().cloned())
            })
            .collect();
        let text = ScalarValue::Utf8View(Some("a".to_owned()));
        let same = |name| (name, Precision::Exact(0), Some(text.clone()));
        assert_eq!(found, [("none", Precision::Exact(selected), None), same("same"), same("plain")]);
        assert_eq!(known.num_rows, Precision::Exact(selected));
    }
}

#[test]
fn only_columns_that_are_asked_for() {
    let (read, footer) = footer();
    let mut known = Statistics::new_unknown(&read);
    known.num_rows = Precision::Exact(4);
    add_constants(&mut known, &footer, &read, [3, 6].into_iter());
    assert!(known.column_statistics.iter().all(|column| column.null_count == Precision::Absent));
}

#[test]
fn dictionaries_where_all_pages_have_keys() {
    let (_, footer) = footer();
    let check = |compared: &[&str], want: &[&str]| {
        let schema = with_dictionaries(&footer, &compared.iter().copied().collect());
        let keys = schema.iter().flat_map(|schema| schema.fields().iter());
        let keys =
            keys.filter(|field| field.data_type() == &dictionary_type()).map(|field| field.name().as_str());
        assert_eq!(keys.collect::<Vec<_>>(), want, "{compared:?}");
    };
    check(&[], &[]);
    check(&["two", "plain", "number", "absent"], &["two"]);
    check(&["plain"], &[]);
}
