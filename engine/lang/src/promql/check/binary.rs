//! Rules of binary operations.

use super::super::ast::{Binary, BinaryOp, Cardinality, Matching, Span, ValueType};
use super::super::quoted;
use super::{Checked, Checker};

impl Checker<'_> {
    pub(super) fn binary(&self, binary: &mut Binary, span: Span) -> Checked<ValueType> {
        let left = self.expr(&mut binary.lhs)?;
        let right = self.expr(&mut binary.rhs)?;
        self.modifiers(binary, left, right)?;
        for (side, value) in [(&binary.lhs, left), (&binary.rhs, right)] {
            if !matches!(value, ValueType::Scalar | ValueType::Vector) {
                return self
                    .fault(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        let op = binary.op;
        if left == ValueType::Vector && right == ValueType::Vector {
            if op.is_set()
                && let Some(matching) = &mut binary.matching
            {
                self.set_matching(op, matching, span)?;
            }
            return Ok(ValueType::Vector);
        }
        if let Some(matching) = binary.matching.take() {
            self.no_matching(&matching, span)?;
        }
        if op.is_set() {
            let message = format!("set operator \"{}\" not allowed in binary scalar expression", op.text());
            return self.fault(span, message);
        }
        Ok(if left == right { left } else { ValueType::Vector })
    }

    fn modifiers(&self, binary: &Binary, left: ValueType, right: ValueType) -> Checked {
        let at = || self.between(binary);
        if binary.bool_modifier && !binary.op.is_comparison() {
            return self.fault(at(), "bool modifier can only be used on comparison operators");
        }
        let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
        if scalars && binary.op.is_comparison() && !binary.bool_modifier {
            return self.fault(at(), "comparisons between scalars must use BOOL modifier");
        }
        if let Some(matching) = &binary.matching
            && matching.on
            && let Some(twice) = matching.labels.iter().find(|label| matching.include.contains(label))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quoted(twice));
            return self.fault(at(), message);
        }
        Ok(())
    }

    /// Set operators compare labels of all series with all.
    fn set_matching(&self, op: BinaryOp, matching: &mut Matching, span: Span) -> Checked {
        if matching.cardinality != Cardinality::OneToOne {
            return self.fault(span, format!("no grouping allowed for \"{}\" operation", op.text()));
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fault(span, "filling in missing series not allowed for set operators");
        }
        matching.cardinality = Cardinality::ManyToMany;
        Ok(())
    }

    fn no_matching(&self, matching: &Matching, span: Span) -> Checked {
        if !matching.labels.is_empty() {
            return self.fault(span, "vector matching only allowed between instant vectors");
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fault(span, "filling in missing series only allowed between instant vectors");
        }
        Ok(())
    }

    /// The operator and its modifiers.
    fn between(&self, binary: &Binary) -> Span {
        let (start, end) = (binary.lhs.span.end, binary.rhs.span.start);
        let between = self.text.get(start..end).unwrap_or_default();
        let start = start + (between.len() - between.trim_start().len());
        Span { start, end: start + between.trim().len() }
    }
}
