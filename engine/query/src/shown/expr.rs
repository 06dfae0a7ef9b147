//! Conversions as physical expressions, so that filters can be written in
//! terms of what lies in files.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::sort_properties::ExprProperties;
use datafusion::physical_expr::PhysicalExpr;
use isinglass_model::tables::{Shown, Type};

use super::convert;

/// How a shown column is made from columns of files.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Conversion {
    /// Binary as hex text.
    Hex,
    /// 64-bit nanoseconds as a time.
    Nanos,
    /// Microseconds as a time.
    Micros,
    /// The value of a sample from its three columns.
    Value,
    /// A list or struct with ids or times inside.
    Nested(&'static Type),
}

impl Conversion {
    fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Nanos => "nanos",
            Self::Micros => "micros",
            Self::Value => "value",
            Self::Nested(_) => "shown",
        }
    }

    /// Whether it keeps order: then sorted files stay sorted as shown.
    fn keeps_order(self) -> bool {
        matches!(self, Self::Hex | Self::Nanos | Self::Micros)
    }

    /// Whether different values also stay different: then what files are sorted by
    /// next stays sorted, too.
    fn keeps_difference(self) -> bool {
        matches!(self, Self::Hex | Self::Nanos)
    }
}

/// A conversion of other expressions.
#[derive(Debug, Clone)]
pub(crate) struct ShownExpr {
    pub(crate) conversion: Conversion,
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
}

#[cfg(test)]
impl ShownExpr {
    /// The conversion of one expression.
    pub(crate) fn of(conversion: Conversion, argument: Arc<dyn PhysicalExpr>) -> Self {
        Self { conversion, arguments: vec![argument] }
    }
}

impl PartialEq for ShownExpr {
    fn eq(&self, other: &Self) -> bool {
        self.conversion == other.conversion && self.arguments == other.arguments
    }
}

impl Eq for ShownExpr {}

impl Hash for ShownExpr {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.conversion.name().hash(state);
        self.arguments.hash(state);
    }
}

impl fmt::Display for ShownExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.conversion.name())?;
        for (at, argument) in self.arguments.iter().enumerate() {
            write!(f, "{}{argument}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str(")")
    }
}

impl PhysicalExpr for ShownExpr {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(match self.conversion {
            Conversion::Hex => DataType::Utf8,
            Conversion::Nanos | Conversion::Micros => convert::nanos_type(),
            Conversion::Value => DataType::Float64,
            Conversion::Nested(ty) => convert::shown_type(ty, Shown::Plain),
        })
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.arguments.iter().try_fold(false, |any, argument| Ok(any || argument.nullable(schema)?))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let evaluate = |argument: &Arc<dyn PhysicalExpr>| argument.evaluate(batch)?.into_array(rows);
        let arrays = self.arguments.iter().map(evaluate).collect::<Result<Vec<_>>>()?;
        let shown = match (self.conversion, arrays.as_slice()) {
            (Conversion::Hex, [array]) => convert::hex(array),
            (Conversion::Nanos, [array]) => convert::nanos(array),
            (Conversion::Micros, [array]) => convert::micros(array),
            (Conversion::Value, [float, int, scale]) => convert::value(float, int, scale),
            (Conversion::Nested(ty), [array]) => convert::nested(array, ty, Shown::Plain),
            _ => internal_err!("{self} has the wrong number of arguments"),
        };
        shown.map(ColumnarValue::Array)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.arguments.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { conversion: self.conversion, arguments: children }))
    }

    fn get_properties(&self, children: &[ExprProperties]) -> Result<ExprProperties> {
        let unknown = ExprProperties::new_unknown();
        Ok(match children {
            [child] if self.conversion.keeps_order() => unknown
                .with_order(child.sort_properties)
                .with_preserves_lex_ordering(true)
                .with_strictly_order_preserving(self.conversion.keeps_difference()),
            _ => unknown,
        })
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
