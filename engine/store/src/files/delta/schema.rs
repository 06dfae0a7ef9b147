//! The Delta schema of each table, from the closed list of types in
//! `model::tables`.

use deltalake_core::DeltaResult;
use deltalake_core::kernel::{ArrayType, DataType, MapType, StructField, StructType};
use isinglass_model::tables::{Column, Table, Type};

/// The columns of a table as Delta knows them.
pub(super) fn columns(table: &Table) -> DeltaResult<Vec<StructField>> {
    table.columns.iter().map(field).collect()
}

fn field(column: &Column) -> DeltaResult<StructField> {
    Ok(StructField::new(column.name, data_type(&column.ty)?, column.nullable))
}

fn data_type(ty: &Type) -> DeltaResult<DataType> {
    Ok(match ty {
        Type::Boolean => DataType::BOOLEAN,
        Type::Smallint => DataType::SHORT,
        Type::Integer => DataType::INTEGER,
        Type::Bigint => DataType::LONG,
        Type::Double => DataType::DOUBLE,
        Type::Date => DataType::DATE,
        Type::Timestamp => DataType::TIMESTAMP,
        Type::Text | Type::Dictionary => DataType::STRING,
        Type::Id(_) => DataType::BINARY,
        Type::TextMap => MapType::new(DataType::STRING, DataType::STRING, true).into(),
        Type::List(element) => ArrayType::new(data_type(element)?, false).into(),
        Type::Struct(columns) => {
            StructType::try_new(columns.iter().map(field).collect::<DeltaResult<Vec<_>>>()?)?.into()
        }
    })
}

/// How the schema of a table that exists relates to ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// The same.
    Same,
    /// Ours has more columns at the end: the table is from an older release.
    Older,
    /// Neither; the first difference.
    Different(String),
}

/// Compares the columns of a table in its log with ours.
pub(super) fn fit(theirs: &StructType, ours: &[StructField]) -> Fit {
    let pairs = theirs.fields().zip(ours);
    for (their, our) in pairs {
        if their.name() != our.name()
            || their.data_type() != our.data_type()
            || their.nullable != our.nullable
        {
            return Fit::Different(format!("it has {}, expected {}", describe(their), describe(our)));
        }
    }
    match theirs.fields().len().cmp(&ours.len()) {
        std::cmp::Ordering::Equal => Fit::Same,
        std::cmp::Ordering::Less => Fit::Older,
        std::cmp::Ordering::Greater => Fit::Different(format!(
            "it has {} columns, this release knows {}: a newer release wrote it",
            theirs.fields().len(),
            ours.len()
        )),
    }
}

fn describe(field: &StructField) -> String {
    let null = if field.nullable { "" } else { " not null" };
    format!("{} {}{null}", field.name(), field.data_type())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use deltalake_core::kernel::engine::arrow_conversion::TryIntoArrow as _;
    use isinglass_model::Kind;

    use super::*;

    fn delta_schema(kind: Kind) -> StructType {
        StructType::try_new(columns(Table::of(kind)).unwrap()).unwrap()
    }

    /// The kernel turns types that Delta lacks into others without a word. So
    /// what comes back from Delta has to be what `model` states, nested fields
    /// included.
    #[test]
    fn no_type_is_silently_changed() {
        for kind in Kind::ALL {
            let back: arrow_schema::Schema = (&delta_schema(kind)).try_into_arrow().unwrap();
            let stated = Table::of(kind).file_schema();
            for (back, stated) in back.fields().iter().zip(stated.fields()) {
                assert_eq!(nested_names_as_ours(back), **stated, "{kind}");
            }
            assert_eq!(back.fields().len(), stated.fields().len(), "{kind}");
        }
    }

    /// The log itself: the JSON of the schema, parsed again.
    #[test]
    fn schemas_survive_the_log() {
        for kind in Kind::ALL {
            let schema = delta_schema(kind);
            let text = serde_json::to_string(&schema).unwrap();
            let back: StructType = serde_json::from_str(&text).unwrap();
            assert_eq!(fit(&back, &columns(Table::of(kind)).unwrap()), Fit::Same, "{kind}");
        }
    }

    #[test]
    fn tables_of_other_releases() {
        let ours = columns(Table::of(Kind::Samples)).unwrap();
        let check = |theirs: Vec<StructField>, expected: Fit| {
            assert_eq!(fit(&StructType::try_new(theirs).unwrap(), &ours), expected);
        };
        check(ours.clone(), Fit::Same);
        check(ours[..3].to_vec(), Fit::Older);
        let mut more = ours.clone();
        more.push(StructField::nullable("extra", DataType::LONG));
        check(
            more,
            Fit::Different("it has 8 columns, this release knows 7: a newer release wrote it".into()),
        );
        let mut other = ours.clone();
        other[1] = StructField::nullable("series_id", DataType::LONG);
        check(other, Fit::Different("it has series_id long, expected series_id long not null".into()));
    }

    /// The names of list elements and map entries are not part of a Delta
    /// schema; the kernel picks its own.
    fn nested_names_as_ours(field: &arrow_schema::Field) -> arrow_schema::Field {
        use arrow_schema::DataType as Arrow;
        let inner = |f: &arrow_schema::FieldRef, name: &str| {
            Arc::new(nested_names_as_ours(f).with_name(name)) as arrow_schema::FieldRef
        };
        let ty = match field.data_type() {
            Arrow::List(element) => Arrow::List(inner(element, "element")),
            Arrow::Map(entries, sorted) => Arrow::Map(inner(entries, "key_value"), *sorted),
            Arrow::Struct(fields) => Arrow::Struct(fields.iter().map(|f| inner(f, f.name())).collect()),
            other => other.clone(),
        };
        field.clone().with_data_type(ty).with_metadata(Default::default())
    }
}
