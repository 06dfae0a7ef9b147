//! Which labels the series of a plan can have.

use std::collections::BTreeSet;

use isinglass_lang::promql::ast::{AggregateOp, BinaryOp, Cardinality};

use super::NamesOf;
use crate::binary::changes_meaning;
use crate::plan::{
    Aggregate, Classic, ClassicFunction, Join, Plan, Vector, Wanted, WindowFunction, WindowInput,
};
use crate::signature::METADATA;

type Names = BTreeSet<String>;

/// Those of the result; more may be named than there are, but no fewer.
pub(super) fn of_plan(plan: &Plan, of: NamesOf<'_>) -> Option<Names> {
    match plan {
        Plan::Scalar(_) | Plan::Text(_) => Some(Names::new()),
        Plan::Vector(vector) => of_vector(vector, of),
        Plan::Matrix(input, _) => of_input(input, of),
    }
}

fn of_vector(vector: &Vector, of: NamesOf<'_>) -> Option<Names> {
    Some(match vector {
        Vector::Select(leaf, Wanted::Value) => of(&leaf.matchers)?,
        Vector::Select(leaf, _) => nameless(of(&leaf.matchers)?),
        Vector::Window(window) => {
            let names = of_input(&window.input, of)?;
            let keeps = matches!(window.function, WindowFunction::Last | WindowFunction::First);
            if keeps { names } else { nameless(names) }
        }
        Vector::AbsentOverTime(_, fixed) | Vector::Absent(_, fixed) => {
            fixed.iter().map(|(name, _)| name.clone()).collect()
        }
        Vector::Map(map) => nameless(of_vector(&map.input, of)?),
        Vector::FromScalar(_) => Names::new(),
        Vector::WithScalar(both) => {
            let names = of_vector(&both.vector, of)?;
            if both.bool_modifier || changes_meaning(both.op) { nameless(names) } else { names }
        }
        Vector::Join(join) => of_join(join, of)?,
        Vector::Set(set) if set.op == BinaryOp::Or => {
            let mut names = of_vector(&set.left, of)?;
            names.extend(of_vector(&set.right, of)?);
            names
        }
        Vector::Set(set) => of_vector(&set.left, of)?,
        Vector::Aggregate(aggregate) => of_aggregate(aggregate, of)?,
        Vector::Classic(classic) => of_classic(classic, of)?,
        Vector::LabelReplace(replace) => with(of_vector(&replace.input, of)?, &replace.to),
        Vector::LabelJoin(join) => with(of_vector(&join.input, of)?, &join.to),
        Vector::Sort(sort) => of_vector(&sort.input, of)?,
        Vector::Info(info) => {
            let mut names = of_vector(&info.input, of)?;
            names.extend(of(&info.matchers)?);
            names
        }
        Vector::Invariant(inner) => of_vector(inner, of)?,
    })
}

fn of_input(input: &WindowInput, of: NamesOf<'_>) -> Option<Names> {
    match input {
        WindowInput::Samples(leaf) => of(&leaf.matchers),
        WindowInput::Subquery(subquery) => of_vector(&subquery.plan, of),
    }
}

fn of_join(join: &Join, of: NamesOf<'_>) -> Option<Names> {
    let matching = &join.matching;
    let mut names = match matching.cardinality {
        Cardinality::OneToOne if matching.on => matching.labels.iter().cloned().collect(),
        Cardinality::OneToOne => without(of_vector(&join.left, of)?, &matching.labels),
        Cardinality::OneToMany => of_vector(&join.right, of)?,
        _ => of_vector(&join.left, of)?,
    };
    // A side that is filled in has the labels that are matched on.
    if matching.fill_left.is_some() || matching.fill_right.is_some() {
        names.extend(matching.labels.iter().cloned());
    }
    names.extend(matching.include.iter().cloned());
    Some(if join.bool_modifier || changes_meaning(join.op) { nameless(names) } else { names })
}

fn of_aggregate(aggregate: &Aggregate, of: NamesOf<'_>) -> Option<Names> {
    use AggregateOp as Op;
    if matches!(aggregate.op, Op::Topk | Op::Bottomk | Op::Limitk | Op::LimitRatio) {
        return of_vector(&aggregate.input, of);
    }
    let mut names = if aggregate.without {
        nameless(without(of_vector(&aggregate.input, of)?, &aggregate.grouping))
    } else {
        aggregate.grouping.iter().cloned().collect()
    };
    if aggregate.op == Op::CountValues {
        names.insert(aggregate.label.clone());
    }
    Some(names)
}

fn of_classic(classic: &Classic, of: NamesOf<'_>) -> Option<Names> {
    let mut names = nameless(of_vector(&classic.input, of)?);
    names.remove("le");
    if let ClassicFunction::Quantiles(label) = &classic.function {
        names.insert(label.clone());
    }
    Some(names)
}

/// Without what goes where the value is another one than that of the metric.
fn nameless(mut names: Names) -> Names {
    names.retain(|name| !METADATA.contains(&name.as_str()));
    names
}

fn without(mut names: Names, labels: &[String]) -> Names {
    names.retain(|name| !labels.contains(name));
    names
}

fn with(mut names: Names, label: &str) -> Names {
    names.insert(label.to_owned());
    names
}
