//! Functions by name.

use isinglass_lang::promql::ast::{self, Call, Expr, ExprKind, Extension, MatchOp, Matcher, ValueType};
use isinglass_lang::promql::functions;

use super::build::fixed_labels;
use super::{
    Builder, Classic, ClassicFunction, DatePart, Info, LabelJoin, LabelReplace, Map, MapFunction, Scalar,
    Sort, SortBy, Vector, Wanted, Window, WindowFunction, WindowInput,
};
use crate::error::{EvalError, Result};
use crate::labels::METRIC_NAME;

/// A call that gives a scalar.
pub(super) fn scalar(builder: &Builder, call: &Call) -> Result<Scalar> {
    let seconds = |millis: i64| Scalar::Const(millis as f64 / 1e3);
    let both = |builder: &Builder| -> Result<(Box<Scalar>, Box<Scalar>)> {
        let (one, other) = (builder.scalar(&call.args[0])?, builder.scalar(&call.args[1])?);
        Ok((Box::new(one), Box::new(other)))
    };
    Ok(match call.function.name {
        "time" => Scalar::Time,
        "pi" => Scalar::Const(std::f64::consts::PI),
        "scalar" => Scalar::Of(Box::new(builder.vector(&call.args[0])?)),
        "start" => seconds(builder.start_ms),
        "end" => seconds(builder.end_ms),
        "step" => seconds(builder.step_ms),
        "range" => seconds(builder.end_ms - builder.start_ms),
        "min_of" => both(builder).map(|(one, other)| Scalar::MinOf(one, other))?,
        "max_of" => both(builder).map(|(one, other)| Scalar::MaxOf(one, other))?,
        name => return Err(unknown(name)),
    })
}

/// A call that gives a vector.
pub(super) fn vector(builder: &Builder, expr: &Expr, call: &Call) -> Result<Vector> {
    let name = call.function.name;
    if let Some(function) = window_function(name) {
        return window(builder, call, function);
    }
    if let Some(function) = map_function(name) {
        return map(builder, call, function);
    }
    match name {
        "absent" => {
            let labels = fixed_labels(&call.args[0]);
            Ok(Vector::Absent(Box::new(builder.vector(&call.args[0])?), labels))
        }
        "absent_over_time" => absent_over_time(builder, call),
        "vector" => Ok(Vector::FromScalar(builder.scalar(&call.args[0])?)),
        "timestamp" => timestamp(builder, call, Wanted::Timestamp, MapFunction::Timestamp),
        "start_timestamp" => timestamp(builder, call, Wanted::StartTimestamp, MapFunction::StartTimestamp),
        "histogram_quantile" | "histogram_fraction" | "histogram_quantiles" => classic(builder, call),
        "label_replace" => label_replace(builder, call),
        "label_join" => label_join(builder, call),
        "sort" | "sort_desc" => sort(builder, call, SortBy::Value, name == "sort_desc"),
        "sort_by_label" | "sort_by_label_desc" => {
            let labels = call.args[1..].iter().map(|arg| builder.text(arg));
            let by = SortBy::Labels(labels.collect::<Result<_>>()?);
            sort(builder, call, by, name == "sort_by_label_desc")
        }
        "info" => info(builder, expr, call),
        name if functions::own(name).is_none() => map(builder, call, MapFunction::Brought(name)),
        name => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> EvalError {
    EvalError::internal(format!("the function {name:?} has no plan"))
}

fn scalars(builder: &Builder, args: &[Expr]) -> Result<Vec<Scalar>> {
    args.iter().map(|arg| builder.scalar(arg)).collect()
}

fn window_function(name: &str) -> Option<WindowFunction> {
    use WindowFunction as F;
    Some(match name {
        "rate" => F::Rate,
        "increase" => F::Increase,
        "delta" => F::Delta,
        "irate" => F::Irate,
        "idelta" => F::Idelta,
        "sum_over_time" => F::Sum,
        "avg_over_time" => F::Avg,
        "count_over_time" => F::Count,
        "min_over_time" => F::Min,
        "max_over_time" => F::Max,
        "last_over_time" => F::Last,
        "first_over_time" => F::First,
        "present_over_time" => F::Present,
        "stddev_over_time" => F::Stddev,
        "stdvar_over_time" => F::Stdvar,
        "mad_over_time" => F::Mad,
        "quantile_over_time" => F::Quantile,
        "changes" => F::Changes,
        "resets" => F::Resets,
        "deriv" => F::Deriv,
        "predict_linear" => F::PredictLinear,
        "double_exponential_smoothing" => F::DoubleExponential,
        "ts_of_first_over_time" => F::TimeOfFirst,
        "ts_of_last_over_time" => F::TimeOfLast,
        "ts_of_min_over_time" => F::TimeOfMin,
        "ts_of_max_over_time" => F::TimeOfMax,
        _ => return None,
    })
}

/// The matrix argument and the scalars around it.
fn window(builder: &Builder, call: &Call, function: WindowFunction) -> Result<Vector> {
    let of_matrix = |arg: &&Expr| arg.value_type() == ValueType::Matrix;
    let Some(matrix) = call.args.iter().find(of_matrix) else {
        return Err(unknown(call.function.name));
    };
    let others: Vec<&Expr> = call.args.iter().filter(|arg| !of_matrix(arg)).collect();
    let params = others.iter().map(|arg| builder.scalar(arg)).collect::<Result<_>>()?;
    let (input, range_ms) = builder.window_input(matrix)?;
    check_extension(&input, call.function.name)?;
    Ok(Vector::Window(Box::new(Window {
        function,
        params,
        input,
        range_ms,
        span: matrix.span,
        param_span: others.first().map(|arg| arg.span).unwrap_or_default(),
    })))
}

const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

fn check_extension(input: &WindowInput, name: &str) -> Result<()> {
    let WindowInput::Samples(leaf) = input else { return Ok(()) };
    let (extension, allowed) = match leaf.extension {
        Some(Extension::Anchored) => ("anchored", &ANCHORED[..]),
        Some(Extension::Smoothed) => ("smoothed", &SMOOTHED[..]),
        None => return Ok(()),
    };
    if allowed.contains(&name) {
        return Ok(());
    }
    let allowed = allowed.join(", ");
    Err(EvalError::execution(format!(
        "{extension} modifier can only be used with: {allowed} - not with {name}"
    )))
}

fn absent_over_time(builder: &Builder, call: &Call) -> Result<Vector> {
    let arg = &call.args[0];
    let (input, range_ms) = builder.window_input(arg)?;
    check_extension(&input, call.function.name)?;
    let function = WindowFunction::Present;
    let (params, span) = (Vec::new(), arg.span);
    let window = Window { function, params, input, range_ms, span, param_span: span };
    Ok(Vector::AbsentOverTime(Box::new(window), fixed_labels(arg)))
}

fn map_function(name: &str) -> Option<MapFunction> {
    use MapFunction as F;
    Some(match name {
        "abs" => F::Float(f64::abs),
        "acos" => F::Float(f64::acos),
        "acosh" => F::Float(f64::acosh),
        "asin" => F::Float(f64::asin),
        "asinh" => F::Float(f64::asinh),
        "atan" => F::Float(f64::atan),
        "atanh" => F::Float(f64::atanh),
        "ceil" => F::Float(f64::ceil),
        "clamp" => F::Clamp,
        "clamp_max" => F::ClampMax,
        "clamp_min" => F::ClampMin,
        "cos" => F::Float(f64::cos),
        "cosh" => F::Float(cosh),
        "day_of_month" => F::Date(DatePart::DayOfMonth),
        "day_of_week" => F::Date(DatePart::DayOfWeek),
        "day_of_year" => F::Date(DatePart::DayOfYear),
        "days_in_month" => F::Date(DatePart::DaysInMonth),
        "deg" => F::Float(|radians| radians * 180.0 / std::f64::consts::PI),
        "exp" => F::Float(f64::exp),
        "floor" => F::Float(f64::floor),
        "histogram_avg" => F::HistogramAvg,
        "histogram_count" => F::HistogramCount,
        "histogram_stddev" => F::HistogramStddev,
        "histogram_stdvar" => F::HistogramStdvar,
        "histogram_sum" => F::HistogramSum,
        "hour" => F::Date(DatePart::Hour),
        "ln" => F::Float(f64::ln),
        "log10" => F::Float(f64::log10),
        "log2" => F::Float(f64::log2),
        "minute" => F::Date(DatePart::Minute),
        "month" => F::Date(DatePart::Month),
        "rad" => F::Float(|degrees| degrees * std::f64::consts::PI / 180.0),
        "round" => F::Round,
        "sgn" => F::Float(sign),
        "sin" => F::Float(f64::sin),
        "sinh" => F::Float(sinh),
        "sqrt" => F::Float(f64::sqrt),
        "tan" => F::Float(f64::tan),
        "tanh" => F::Float(f64::tanh),
        "year" => F::Date(DatePart::Year),
        _ => return None,
    })
}

/// Beyond this the other exponential is below the last digit, and Go's `math` halves one alone:
/// what overflows there is infinite here, too.
const ONE_EXPONENTIAL: f64 = 21.0;

fn cosh(value: f64) -> f64 {
    if value.abs() > ONE_EXPONENTIAL { value.abs().exp() * 0.5 } else { value.cosh() }
}

fn sinh(value: f64) -> f64 {
    if value.abs() > ONE_EXPONENTIAL { (value.abs().exp() * 0.5).copysign(value) } else { value.sinh() }
}

/// Zero and NaN stay what they are.
fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

fn map(builder: &Builder, call: &Call, function: MapFunction) -> Result<Vector> {
    use MapFunction as F;
    let of_stats = matches!(function, F::HistogramCount | F::HistogramSum | F::HistogramAvg);
    let builder = &if of_stats { builder.wants_stats() } else { *builder };
    let input = match call.args.first() {
        Some(arg) => builder.vector(arg)?,
        // Functions of a date take the time of the step.
        None => Vector::FromScalar(Scalar::Time),
    };
    let params = scalars(builder, call.args.get(1..).unwrap_or_default())?;
    Ok(Vector::Map(Box::new(Map { function, params, input })))
}

/// Of a plain selector, its samples' times; of any other vector, those of the steps.
fn timestamp(builder: &Builder, call: &Call, wanted: Wanted, otherwise: MapFunction) -> Result<Vector> {
    let arg = &call.args[0];
    if let ExprKind::Selector(selector) = &arg.bare().kind {
        let leaf = builder.leaf(selector, arg.bare().span);
        return Ok(Vector::Select(leaf, wanted));
    }
    map(builder, call, otherwise)
}

fn classic(builder: &Builder, call: &Call) -> Result<Vector> {
    let (function, input, params) = match call.function.name {
        "histogram_quantile" => (ClassicFunction::Quantile, 1, &call.args[..1]),
        "histogram_fraction" => (ClassicFunction::Fraction, 2, &call.args[..2]),
        _ => {
            let label = builder.text(&call.args[1])?;
            (ClassicFunction::Quantiles(label), 0, &call.args[2..])
        }
    };
    Ok(Vector::Classic(Box::new(Classic {
        function,
        params: scalars(builder, params)?,
        input: builder.wants_buckets().vector(&call.args[input])?,
        span: call.args[input].span,
        param_spans: params.iter().map(|param| param.span).collect(),
    })))
}

fn label_replace(builder: &Builder, call: &Call) -> Result<Vector> {
    let text = |at: usize| builder.text(&call.args[at]);
    let (to, replacement, from, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let pattern = crate::matching::anchored(&pattern).map_err(|_| {
        EvalError::execution(format!("invalid regular expression in label_replace(): {}", call.args[4]))
    })?;
    check_label(&to, "destination", "label_replace")?;
    let input = builder.vector(&call.args[0])?;
    Ok(Vector::LabelReplace(Box::new(LabelReplace { input, to, replacement, from, pattern })))
}

fn check_label(name: &str, which: &str, function: &str) -> Result<()> {
    // A text that was no UTF-8 has this character where it was not.
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        let quoted = isinglass_lang::promql::quoted(name);
        let message = format!("invalid {which} label name in {function}(): {quoted}");
        return Err(EvalError::execution(message));
    }
    Ok(())
}

fn label_join(builder: &Builder, call: &Call) -> Result<Vector> {
    let (to, separator) = (builder.text(&call.args[1])?, builder.text(&call.args[2])?);
    let from = call.args[3..].iter().map(|arg| builder.text(arg)).collect::<Result<Vec<_>>>()?;
    for name in &from {
        check_label(name, "source", "label_join")?;
    }
    check_label(&to, "destination", "label_join")?;
    let input = builder.vector(&call.args[0])?;
    Ok(Vector::LabelJoin(Box::new(LabelJoin { input, to, separator, from })))
}

fn sort(builder: &Builder, call: &Call, by: SortBy, descending: bool) -> Result<Vector> {
    let input = builder.vector(&call.args[0])?;
    Ok(Vector::Sort(Box::new(Sort { input, by, descending })))
}

fn info(builder: &Builder, _: &Expr, call: &Call) -> Result<Vector> {
    let mut matchers = match call.args.get(1).map(|arg| &arg.bare().kind) {
        Some(ExprKind::Selector(selector)) => selector.matchers.clone(),
        _ => Vec::new(),
    };
    let of_name = |matcher: &&Matcher| matcher.label == METRIC_NAME;
    let excludes = |matcher: &Matcher| matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotMatches);
    let label = METRIC_NAME.to_owned();
    if !matchers.iter().any(|matcher| of_name(&matcher)) {
        matchers.push(Matcher { label, op: MatchOp::Equal, value: "target_info".to_owned() });
    } else if matchers.iter().filter(of_name).all(excludes) {
        // Names that are only excluded are those of info metrics.
        matchers.push(Matcher { label, op: MatchOp::Matches, value: ".+_info".to_owned() });
    }
    let input = builder.vector(&call.args[0])?;
    let (at_ms, offset_ms) = looked_up_at(builder, &call.args[0], (None, 0)).unwrap_or((None, 0));
    Ok(Vector::Info(Box::new(Info { input, matchers, offset_ms, at_ms })))
}

/// The `@` and offset under which the first selector of an expression is read, those of the
/// subqueries around it included.
fn looked_up_at(
    builder: &Builder,
    expr: &Expr,
    (at_ms, offset_ms): (Option<i64>, i64),
) -> Option<(Option<i64>, i64)> {
    let below = |args: &[Expr]| args.iter().find_map(|arg| looked_up_at(builder, arg, (at_ms, offset_ms)));
    match &expr.kind {
        ExprKind::Selector(selector) => {
            let leaf = builder.leaf(selector, expr.span);
            Some(match leaf.at_ms {
                Some(at) => (Some(at), leaf.offset_ms),
                None => (at_ms, offset_ms + leaf.offset_ms),
            })
        }
        ExprKind::Range(range) => looked_up_at(builder, &range.selector, (at_ms, offset_ms)),
        ExprKind::Subquery(subquery) => {
            let (at, own) = builder.times_of(subquery)?;
            let times = if at.is_some() { (at, own) } else { (at_ms, offset_ms + own) };
            looked_up_at(builder, &subquery.expr, times)
        }
        ExprKind::Call(call) => below(&call.args),
        ExprKind::Aggregate(ast::Aggregate { expr, .. }) => looked_up_at(builder, expr, (at_ms, offset_ms)),
        ExprKind::Unary(ast::Unary { expr, .. }) | ExprKind::Paren(expr) => {
            looked_up_at(builder, expr, (at_ms, offset_ms))
        }
        ExprKind::Binary(binary) => looked_up_at(builder, &binary.lhs, (at_ms, offset_ms))
            .or_else(|| looked_up_at(builder, &binary.rhs, (at_ms, offset_ms))),
        ExprKind::Number(_) | ExprKind::Text(_) => None,
    }
}

impl Builder {
    fn times_of(&self, subquery: &ast::Subquery) -> Option<(Option<i64>, i64)> {
        let offset = match &subquery.offset {
            Some(ast::Duration::Millis(millis)) => *millis,
            Some(ast::Duration::Computed(_)) => return None,
            None => 0,
        };
        Some((subquery.at.map(|at| self.at(at)), offset))
    }
}
