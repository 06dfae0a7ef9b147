//! What is wanted of an attribute.

use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use isinglass_store::{AttributeColumn, AttributeValues, DataFile};

use crate::functions::{MapValue, Part};

/// A part of the values of an attribute, as a column that a scan has more.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) part: Part,
    /// The column. Where a file has the texts in a column it has the same name.
    pub(crate) field: FieldRef,
    /// The same made of the map, whose column is that of the read schema.
    pub(crate) of_map: Arc<dyn PhysicalExpr>,
}

impl Wanted {
    /// What a call of [`MapValue`] wants, whose map is `map` in the schema `read`.
    pub(crate) fn of(
        call: &Arc<dyn PhysicalExpr>,
        map: Arc<dyn PhysicalExpr>,
        read: &Schema,
    ) -> Result<Option<Self>> {
        let Some((part, _, key)) = MapValue::called(call.as_ref()) else { return Ok(None) };
        let key = key.to_owned();
        let column = AttributeColumn::name_of(&key);
        let name = match part {
            Part::Text => column,
            Part::Number => format!("number({column})"),
            Part::NoNumber => format!("no_number({column})"),
        };
        let of_map = with_values(call, map)?;
        let field = of_map.return_field(read)?;
        let field = Arc::new(Field::clone(&field).with_name(name));
        Ok(Some(Self { key, part, field, of_map }))
    }

    /// The same made of a column that has its texts.
    pub(crate) fn of_texts(&self, texts: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        with_values(&self.of_map, texts)
    }

    /// Null in all rows.
    pub(crate) fn nowhere(&self) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Literal::new(ScalarValue::try_new_null(self.field.data_type())?)))
    }
}

/// A call with its first argument replaced.
fn with_values(call: &Arc<dyn PhysicalExpr>, values: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let mut arguments: Vec<_> = call.children().into_iter().map(Arc::clone).collect();
    if let Some(first) = arguments.first_mut() {
        *first = values;
    }
    Arc::clone(call).with_new_children(arguments)
}

/// What a set of files has of one attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Available {
    /// In a column, in this form, in all of them.
    Everywhere(AttributeValues),
    /// In columns, in all of them.
    Mixed,
    /// In columns, in some of them.
    Somewhere,
    /// In the map alone, or in a column that nobody may read.
    Nowhere,
}

impl Available {
    pub(crate) fn in_files<'a>(files: impl IntoIterator<Item = &'a DataFile>, key: &str) -> Self {
        let (mut somewhere, mut missing, mut form) = (false, false, None);
        for file in files {
            let column = file.attribute_columns.iter().find(|column| column.key == key);
            match column.map(|column| column.values) {
                None => missing = true,
                Some(AttributeValues::Unusable) => return Self::Nowhere,
                Some(values) if !somewhere || form == Some(values) => form = Some(values),
                Some(_) => form = None,
            }
            somewhere |= column.is_some();
        }
        match (somewhere, missing, form) {
            (false, ..) => Self::Nowhere,
            (true, true, _) => Self::Somewhere,
            (true, false, Some(values)) => Self::Everywhere(values),
            (true, false, None) => Self::Mixed,
        }
    }

    /// Whether filters on a part can be asked of rows while they are read: all files have it in
    /// a flat column then, which a map is not.
    pub(crate) fn filters(self, part: Part) -> bool {
        match (self, part) {
            (Self::Everywhere(AttributeValues::Text), _) => true,
            (Self::Everywhere(_) | Self::Mixed, part) => part != Part::Text,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::adapter::tests::file;

    #[test]
    fn what_some_files_have() {
        use AttributeValues::{Number, Text, Unusable};
        let check = |files: &[Option<AttributeValues>], want: Available| {
            let files: Vec<DataFile> = files
                .iter()
                .map(|values| DataFile {
                    attribute_columns: values
                        .iter()
                        .map(|values| AttributeColumn { key: "a".to_owned(), values: *values })
                        .collect(),
                    ..file("f")
                })
                .collect();
            assert_eq!(Available::in_files(&files, "a"), want, "{files:?}");
            assert_eq!(Available::in_files(&files, "b"), Available::Nowhere);
        };
        check(&[], Available::Nowhere);
        check(&[None], Available::Nowhere);
        check(&[Some(Text), Some(Text)], Available::Everywhere(Text));
        check(&[Some(Text), Some(Number), Some(Text)], Available::Mixed);
        check(&[None, Some(Number)], Available::Somewhere);
        check(&[Some(Number), None, Some(Text)], Available::Somewhere);
        check(&[Some(Text), Some(Unusable)], Available::Nowhere);
    }
}
