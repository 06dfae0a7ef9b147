//! Scalars: a number at each step.

use std::sync::Arc;

use super::{Context, Operator, open};
use crate::arithmetic;
use crate::block::{Block, Row, is_absent};
use crate::error::Result;
use crate::grid::Grid;
use crate::labels::Labels;
use crate::plan::{Scalar, Vector};

/// The values of a scalar at the steps of a grid.
pub(crate) fn evaluate(scalar: &Scalar, grid: Grid, cx: &Context<'_>) -> Result<Arc<[f64]>> {
    Ok(values(scalar, grid, cx)?.into())
}

/// The values of several.
pub(super) fn all(scalars: &[Scalar], grid: Grid, cx: &Context<'_>) -> Result<Vec<Arc<[f64]>>> {
    scalars.iter().map(|scalar| evaluate(scalar, grid, cx)).collect()
}

fn values(scalar: &Scalar, grid: Grid, cx: &Context<'_>) -> Result<Vec<f64>> {
    let both = |one: &Scalar, other: &Scalar, combine: &dyn Fn(f64, f64) -> f64| {
        let (mut values, others) = (self::values(one, grid, cx)?, self::values(other, grid, cx)?);
        for (value, other) in values.iter_mut().zip(others) {
            *value = combine(*value, other);
        }
        Ok(values)
    };
    match scalar {
        Scalar::Const(value) => Ok(vec![*value; grid.steps]),
        Scalar::Time => Ok(grid.times().map(|time| time as f64 / 1e3).collect()),
        Scalar::Of(vector) => of_vector(vector, grid, cx),
        Scalar::Negated(inner) => {
            Ok(self::values(inner, grid, cx)?.into_iter().map(|value| -value).collect())
        }
        Scalar::Binary(op, one, other) => {
            both(one, other, &|one, other| arithmetic::scalars(*op, one, other))
        }
        Scalar::MinOf(one, other) => both(one, other, &|one, other| smaller(one, other)),
        Scalar::MaxOf(one, other) => both(one, other, &|one, other| -smaller(-one, -other)),
    }
}

/// As Go's `math.Min`: a NaN makes the result one.
fn smaller(one: f64, other: f64) -> f64 {
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.min(other) }
}

/// The float of the only series with one; NaN where there are none or several.
fn of_vector(vector: &Vector, grid: Grid, cx: &Context<'_>) -> Result<Vec<f64>> {
    let mut values = vec![f64::NAN; grid.steps];
    let mut seen = vec![0_u8; grid.steps];
    let mut operator = open(vector, grid, cx)?;
    while let Some(block) = operator.next()? {
        cx.check()?;
        for row in 0..block.rows.len() {
            for (step, float) in block.floats(row).iter().enumerate() {
                if is_absent(*float) {
                    continue;
                }
                seen[step] = seen[step].saturating_add(1);
                values[step] = if seen[step] == 1 { *float } else { f64::NAN };
            }
        }
    }
    Ok(values)
}

/// `vector(s)`: one series without labels.
pub(super) struct FromScalar(Option<Block>);

impl FromScalar {
    pub(super) fn new(scalar: &Scalar, grid: Grid, cx: &Context<'_>) -> Result<Self> {
        let mut block = Block::new(grid.steps);
        let values = values(scalar, grid, cx)?;
        block.push(Row::new(Labels::empty())).copy_from_slice(&values);
        Ok(Self(Some(block)))
    }
}

impl Operator for FromScalar {
    fn next(&mut self) -> Result<Option<Block>> {
        Ok(self.0.take())
    }
}
