//! The schema of every table, stated once.
//!
//! A column has three faces:
//!
//! | face | who sees it | made by |
//! |---|---|---|
//! | in a file | Delta readers (DuckDB, Spark, …) | [`Table::file_schema`] |
//! | in memory | decode, WAL, head | [`Table::batch_field`]; absent columns are all null |
//! | in SQL | people | [`Column::shown`], applied by `query` |
//!
//! Delta has no unsigned integers, no fixed-size binary and no nanoseconds, and
//! its kernel maps some Arrow types without a word. So the types that may occur
//! are a closed list ([`Type`]), and a test refuses anything else.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::kind::Kind;

pub mod logs;
pub mod metrics;
pub mod promoted;
pub mod reingested;
pub mod rejected;
pub mod shadow;
pub mod spans;

/// The type of a column, as Delta knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    /// `boolean`
    Boolean,
    /// `short`, 16 bits
    Smallint,
    /// `integer`, 32 bits
    Integer,
    /// `long`, 64 bits
    Bigint,
    /// `double`
    Double,
    /// `date`, days since 1970-01-01
    Date,
    /// `timestamp`: microseconds, UTC. Metric times are whole milliseconds.
    Timestamp,
    /// `string`
    Text,
    /// `string`, dictionary-encoded in memory
    Dictionary,
    /// `binary` of a fixed width in bytes, fixed-size binary in memory
    Id(i32),
    /// `map<string, string>`
    TextMap,
    /// `array<element>`, no null elements
    List(&'static Type),
    /// `struct<...>`
    Struct(&'static [Column]),
}

/// How SQL shows a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is in the file.
    Plain,
    /// Binary as lower-case hex text.
    Hex,
    /// 64-bit nanoseconds as `Timestamp(ns, UTC)`.
    Nanos,
    /// Not shown by `SELECT *`; other columns are made from it.
    Hidden,
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    /// Its name, the same in files and in SQL.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether it may be null.
    pub nullable: bool,
    /// How SQL shows it.
    pub shown: Shown,
}

/// A column that is never null.
pub const fn required(name: &'static str, ty: Type) -> Column {
    Column { name, ty, nullable: false, shown: Shown::Plain }
}

/// A column that may be null.
pub const fn optional(name: &'static str, ty: Type) -> Column {
    Column { name, ty, nullable: true, shown: Shown::Plain }
}

impl Column {
    /// The same column, shown differently.
    pub const fn shown(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }
}

/// A table: its columns and the order of rows in its files.
#[derive(Debug)]
pub struct Table {
    /// Which rows it holds.
    pub kind: Kind,
    /// Its columns. Grows at the end and only by release; nothing is ever removed
    /// or retyped, because the WAL and old files refer to them by position and name.
    pub columns: Vec<Column>,
    /// Columns that files are sorted by, ascending, nulls first.
    pub sorted_by: &'static [&'static str],
    /// The column that time ranges prune on.
    pub time: &'static str,
    file_schema: SchemaRef,
    batch_fields: Vec<FieldRef>,
}

impl Table {
    fn new(kind: Kind, columns: Vec<Column>, sorted_by: &'static [&'static str], time: &'static str) -> Self {
        let file_schema =
            Arc::new(Schema::new(columns.iter().map(|c| field(c, file_type)).collect::<Vec<_>>()));
        let batch_fields = columns.iter().map(|c| Arc::new(field(c, batch_type))).collect();
        Self { kind, columns, sorted_by, time, file_schema, batch_fields }
    }

    /// The table of a kind.
    pub fn of(kind: Kind) -> &'static Self {
        static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
            vec![
                metrics::series(),
                metrics::samples(),
                metrics::histograms(),
                metrics::exemplars(),
                logs::logs(),
                spans::spans(),
                rejected::rejected(),
                shadow::shadow(),
                reingested::reingested(),
            ]
        });
        &TABLES[kind as usize - 1]
    }

    /// Arrow types as they stand in Parquet files and in the Delta schema.
    pub fn file_schema(&self) -> &SchemaRef {
        &self.file_schema
    }

    /// The field of a column as batches carry it.
    pub fn batch_field(&self, column: usize) -> &FieldRef {
        &self.batch_fields[column]
    }

    /// Position of a column.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

fn field(column: &Column, arrow_type: fn(&Type) -> DataType) -> Field {
    Field::new(column.name, arrow_type(&column.ty), column.nullable)
}

/// The Arrow type of a column in a file.
pub fn file_type(ty: &Type) -> DataType {
    match ty {
        Type::Dictionary => DataType::Utf8,
        Type::Id(_) => DataType::Binary,
        other => arrow_type(other, file_type),
    }
}

/// The Arrow type of a column in a batch.
pub fn batch_type(ty: &Type) -> DataType {
    match ty {
        Type::Dictionary => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Type::Id(width) => DataType::FixedSizeBinary(*width),
        other => arrow_type(other, batch_type),
    }
}

fn arrow_type(ty: &Type, inner: fn(&Type) -> DataType) -> DataType {
    match ty {
        Type::Boolean => DataType::Boolean,
        Type::Smallint => DataType::Int16,
        Type::Integer => DataType::Int32,
        Type::Bigint => DataType::Int64,
        Type::Double => DataType::Float64,
        Type::Date => DataType::Date32,
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::Text | Type::Dictionary => DataType::Utf8,
        Type::Id(width) => DataType::FixedSizeBinary(*width),
        Type::TextMap => DataType::Map(Arc::clone(&TEXT_MAP_ENTRIES), false),
        Type::List(element) => DataType::List(Arc::new(Field::new("element", inner(element), false))),
        Type::Struct(columns) => {
            DataType::Struct(columns.iter().map(|column| field(column, inner)).collect::<Fields>())
        }
    }
}

/// The entries field of every `map<string, string>`: names as the Parquet
/// specification has them.
pub static TEXT_MAP_ENTRIES: LazyLock<FieldRef> = LazyLock::new(|| {
    let entries = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Utf8, true),
    ]);
    Arc::new(Field::new("key_value", DataType::Struct(entries), false))
});

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn allowed_in_files(ty: &DataType) -> bool {
        match ty {
            DataType::Boolean
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Float64
            | DataType::Date32
            | DataType::Utf8
            | DataType::Binary => true,
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => &**zone == "UTC",
            DataType::List(element) => allowed_in_files(element.data_type()),
            DataType::Struct(fields) => fields.iter().all(|f| allowed_in_files(f.data_type())),
            DataType::Map(entries, sorted) => !sorted && allowed_in_files(entries.data_type()),
            _ => false,
        }
    }

    #[test]
    fn files_hold_only_what_delta_can_carry() {
        for kind in Kind::ALL {
            for field in Table::of(kind).file_schema().fields() {
                assert!(allowed_in_files(field.data_type()), "{kind}.{field}");
            }
        }
    }

    #[test]
    fn tables_are_consistent() {
        for kind in Kind::ALL {
            let table = Table::of(kind);
            assert_eq!(table.kind, kind);
            let names: HashSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(names.len(), table.columns.len(), "{kind}: a column name occurs twice");
            assert!(names.contains(table.time), "{kind}");
            assert!(table.sorted_by.iter().all(|column| names.contains(column)), "{kind}");
        }
    }
}
