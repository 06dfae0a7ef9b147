//! What does not depend on the step is evaluated once.

use super::{Map, MapFunction, Plan, Scalar, Vector, Window, WindowFunction, WindowInput};

/// Whether a vector has the same value at all times: everything that it reads is fixed by `@`.
pub(crate) fn at_any_time(vector: &Vector) -> bool {
    match vector {
        Vector::Select(leaf, _) => leaf.at_ms.is_some(),
        Vector::Window(window) | Vector::AbsentOverTime(window, _) => window_is_fixed(window),
        Vector::Map(map) => map_is_fixed(map),
        Vector::FromScalar(scalar) => fixed(scalar),
        Vector::WithScalar(both) => at_any_time(&both.vector) && fixed(&both.scalar),
        Vector::Join(join) => at_any_time(&join.left) && at_any_time(&join.right),
        Vector::Set(set) => at_any_time(&set.left) && at_any_time(&set.right),
        Vector::Aggregate(aggregate) => {
            at_any_time(&aggregate.input) && aggregate.param.as_ref().is_none_or(fixed)
        }
        Vector::Absent(input, _) => at_any_time(input),
        Vector::Classic(classic) => at_any_time(&classic.input) && classic.params.iter().all(fixed),
        Vector::LabelReplace(replace) => at_any_time(&replace.input),
        Vector::LabelJoin(join) => at_any_time(&join.input),
        Vector::Sort(sort) => at_any_time(&sort.input),
        Vector::Info(info) => at_any_time(&info.input) && info.at_ms.is_some(),
        Vector::Invariant(_) => true,
    }
}

fn window_is_fixed(window: &Window) -> bool {
    // It looks from the step's time, not from the end of the window.
    let looks_at_step = window.function == WindowFunction::PredictLinear;
    let input = match &window.input {
        WindowInput::Samples(leaf) => leaf.at_ms.is_some(),
        WindowInput::Subquery(subquery) => subquery.at_ms.is_some(),
    };
    input && !looks_at_step && window.params.iter().all(fixed)
}

fn map_is_fixed(map: &Map) -> bool {
    !matches!(map.function, MapFunction::Timestamp | MapFunction::Brought(_))
        && at_any_time(&map.input)
        && map.params.iter().all(fixed)
}

/// Whether a scalar has the same value at all times.
fn fixed(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Const(_) => true,
        Scalar::Time => false,
        Scalar::Of(vector) => at_any_time(vector),
        Scalar::Negated(inner) => fixed(inner),
        Scalar::Binary(_, one, other) | Scalar::MinOf(one, other) | Scalar::MaxOf(one, other) => {
            fixed(one) && fixed(other)
        }
    }
}

/// Wraps the largest parts of a plan that do not depend on the step.
pub(super) fn hoist(plan: Plan) -> Plan {
    match plan {
        Plan::Vector(vector) => Plan::Vector(hoist_vector(vector)),
        Plan::Scalar(scalar) => Plan::Scalar(hoist_scalar(scalar)),
        other => other,
    }
}

fn hoist_vector(mut vector: Vector) -> Vector {
    if at_any_time(&vector) {
        return Vector::Invariant(Box::new(vector));
    }
    for_each_input(&mut vector, &mut |input| {
        let taken = std::mem::replace(input, Vector::FromScalar(Scalar::Const(0.0)));
        *input = hoist_vector(taken);
    });
    for_each_scalar(&mut vector, &mut |scalar| {
        let taken = std::mem::replace(scalar, Scalar::Const(0.0));
        *scalar = hoist_scalar(taken);
    });
    vector
}

fn hoist_scalar(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Of(vector) => Scalar::Of(Box::new(hoist_vector(*vector))),
        Scalar::Negated(inner) => Scalar::Negated(Box::new(hoist_scalar(*inner))),
        Scalar::Binary(op, one, other) => {
            Scalar::Binary(op, Box::new(hoist_scalar(*one)), Box::new(hoist_scalar(*other)))
        }
        other => other,
    }
}

fn for_each_input(vector: &mut Vector, change: &mut dyn FnMut(&mut Vector)) {
    match vector {
        Vector::Select(..) | Vector::FromScalar(_) | Vector::Invariant(_) => {}
        Vector::Window(window) | Vector::AbsentOverTime(window, _) => {
            if let WindowInput::Subquery(subquery) = &mut window.input {
                change(&mut subquery.plan);
            }
        }
        Vector::Map(map) => change(&mut map.input),
        Vector::WithScalar(both) => change(&mut both.vector),
        Vector::Join(join) => {
            change(&mut join.left);
            change(&mut join.right);
        }
        Vector::Set(set) => {
            change(&mut set.left);
            change(&mut set.right);
        }
        Vector::Aggregate(aggregate) => change(&mut aggregate.input),
        Vector::Absent(input, _) => change(input),
        Vector::Classic(classic) => change(&mut classic.input),
        Vector::LabelReplace(replace) => change(&mut replace.input),
        Vector::LabelJoin(join) => change(&mut join.input),
        Vector::Sort(sort) => change(&mut sort.input),
        Vector::Info(info) => change(&mut info.input),
    }
}

fn for_each_scalar(vector: &mut Vector, change: &mut dyn FnMut(&mut Scalar)) {
    match vector {
        Vector::Window(window) | Vector::AbsentOverTime(window, _) => {
            window.params.iter_mut().for_each(change);
        }
        Vector::Map(map) => map.params.iter_mut().for_each(change),
        Vector::WithScalar(both) => change(&mut both.scalar),
        Vector::Aggregate(aggregate) => aggregate.param.iter_mut().for_each(change),
        Vector::Classic(classic) => classic.params.iter_mut().for_each(change),
        Vector::FromScalar(scalar) => change(scalar),
        _ => {}
    }
}
