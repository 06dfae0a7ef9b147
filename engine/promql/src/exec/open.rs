//! From plans to operators.

use super::absent::Absent;
use super::aggregate::Aggregation;
use super::brought::{self, Brought};
use super::classic::ClassicOperator;
use super::context::Held;
use super::info::InfoOperator;
use super::invariant::Repeat;
use super::join::JoinOperator;
use super::labels::Relabel;
use super::map::MapOperator;
use super::ordered;
use super::scalar::FromScalar;
use super::select::Select;
use super::set::SetOperator;
use super::sort::Sorted;
use super::subquery;
use super::window::WindowOperator;
use super::with_scalar::ScalarOperator;
use super::{Boxed, Context, Operator};
use crate::block::Block;
use crate::error::Result;
use crate::grid::Grid;
use crate::plan::{MapFunction, Vector, WindowInput};

/// One operator for a plan.
pub(crate) fn open<'a>(plan: &'a Vector, grid: Grid, cx: &'a Context<'a>) -> Result<Boxed<'a>> {
    let mut parts = parts(plan, grid, cx, 1)?;
    Ok(match parts.len() {
        1 => parts.remove(0),
        _ => Box::new(Chain(parts)),
    })
}

/// Operators that give the series of a plan together: at most `parts`, fewer where the plan has
/// to see all series at once.
pub(crate) fn parts<'a>(
    plan: &'a Vector,
    grid: Grid,
    cx: &'a Context<'a>,
    parts: usize,
) -> Result<Vec<Boxed<'a>>> {
    cx.check()?;
    Ok(match plan {
        Vector::Select(leaf, wanted) => Select::open(leaf, *wanted, grid, cx, parts)?,
        Vector::Window(window) => match &window.input {
            WindowInput::Samples(leaf) => WindowOperator::open(window, leaf, grid, cx, parts)?,
            WindowInput::Subquery(subquery) => subquery::open(window, subquery, grid, cx, parts)?,
        },
        Vector::Map(map) => {
            let params = super::scalar::all(&map.params, grid, cx)?;
            let inputs = self::parts(&map.input, grid, cx, parts)?;
            if let MapFunction::Brought(name) = map.function {
                let function = brought::find(name, params.len(), cx)?;
                return Ok(each(inputs, |input| {
                    Box::new(Brought::new(&function, input, &params, cx.source))
                }));
            }
            each(inputs, |input| Box::new(MapOperator::new(map, input, &params, grid)))
        }
        Vector::WithScalar(both) => {
            let scalar = super::evaluate_scalar(&both.scalar, grid, cx)?;
            let inputs = self::parts(&both.vector, grid, cx, parts)?;
            each(inputs, |input| {
                Box::new(ScalarOperator::new(both, input, std::sync::Arc::clone(&scalar), cx))
            })
        }
        Vector::LabelReplace(replace) if !cx.order_matters => {
            let inputs = self::parts(&replace.input, grid, cx, parts)?;
            each(inputs, |input| Box::new(Relabel::replace(replace, input, cx)))
        }
        Vector::LabelJoin(join) if !cx.order_matters => {
            let inputs = self::parts(&join.input, grid, cx, parts)?;
            each(inputs, |input| Box::new(Relabel::join(join, input, cx)))
        }
        Vector::Invariant(inner) => {
            let once = Grid { steps: 1, ..grid };
            let inputs = self::parts(inner, once, cx, parts)?;
            each(inputs, |input| Box::new(Repeat::new(input, grid.steps)))
        }
        whole => vec![of_all_series(whole, grid, cx)?],
    })
}

/// Operators that see all series of their inputs.
fn of_all_series<'a>(plan: &'a Vector, grid: Grid, cx: &'a Context<'a>) -> Result<Boxed<'a>> {
    Ok(match plan {
        Vector::FromScalar(scalar) => Box::new(FromScalar::new(scalar, grid, cx)?),
        Vector::AbsentOverTime(window, labels) => Box::new(Absent::of_window(window, labels, grid, cx)?),
        Vector::Absent(input, labels) => Box::new(Absent::new(open(input, grid, cx)?, labels, grid)),
        Vector::Join(join) => Box::new(JoinOperator::new(join, grid, cx)),
        Vector::Set(set) => Box::new(SetOperator::new(set, grid, cx)),
        Vector::Aggregate(aggregate) => Box::new(Aggregation::new(aggregate, grid, cx)),
        Vector::Classic(classic) => Box::new(ClassicOperator::new(classic, grid, cx)),
        Vector::LabelReplace(replace) => {
            Box::new(Relabel::replace(replace, ordered::input(&replace.input, grid, cx)?, cx))
        }
        Vector::LabelJoin(join) => Box::new(Relabel::join(join, ordered::input(&join.input, grid, cx)?, cx)),
        Vector::Sort(sort) => Box::new(Sorted::new(sort, ordered::input(&sort.input, grid, cx)?, cx)),
        Vector::Info(info) => Box::new(InfoOperator::new(info, grid, cx)),
        _ => unreachable_part(plan),
    })
}

/// Every plan is either read in parts or as a whole; the compiler cannot see that the two lists
/// are complete.
fn unreachable_part<'a>(_: &Vector) -> Boxed<'a> {
    debug_assert!(false, "a plan without an operator");
    Box::new(Chain(Vec::new()))
}

fn each<'a>(inputs: Vec<Boxed<'a>>, wrap: impl Fn(Boxed<'a>) -> Boxed<'a>) -> Vec<Boxed<'a>> {
    inputs.into_iter().map(wrap).collect()
}

/// One after the other.
struct Chain<'a>(Vec<Boxed<'a>>);

impl Operator for Chain<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        while let Some(first) = self.0.first_mut() {
            if let Some(block) = first.next()? {
                return Ok(Some(block));
            }
            self.0.remove(0);
        }
        Ok(None)
    }
}

/// All series of a plan in one block, in order where that matters. It counts as memory of the query as long as it is held.
pub(crate) fn collect<'a>(plan: &Vector, grid: Grid, cx: &'a Context<'_>) -> Result<(Block, Held<'a>)> {
    let mut all = Block::new(grid.steps);
    let mut held = cx.holds_nothing();
    let mut operator = open(plan, grid, cx)?;
    while let Some(block) = operator.next()? {
        cx.check()?;
        held.grow(block.bytes())?;
        all.append(block);
    }
    if ordered::is_wanted(plan, cx) {
        all = ordered::by_labels(all, cx)?;
    }
    Ok((all, held))
}
