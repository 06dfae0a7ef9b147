//! Templates run: what they write, within bounds.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::ast::{Branch, Command, Kind, Node, Operand, Pipe, Tree};
use super::error::TemplateError;
use super::fields::field;
use super::functions::{self, Surroundings};
use super::value::Value;

/// Operands read and nodes run, at most.
const STEPS_MAX: u32 = 100_000;

/// Templates called inside each other, at most.
const CALLS_MAX: usize = 32;

/// Why a run has ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// It went wrong.
    Fault(TemplateError),
    /// It needs the result of this query, which is not known yet.
    Query(String),
    /// `{{ break }}` and `{{ continue }}`: the loop takes them.
    Break,
    Continue,
}

type Run<T> = Result<T, Stop>;

/// Results of queries that are known, or why there are none.
pub(super) type Queries = HashMap<String, Result<Value, String>>;

/// Runs a template. Queries whose results are not known end it: it is run again with them.
pub(super) fn run(
    text: &str,
    tree: &Tree,
    data: &Value,
    around: &Surroundings,
    queries: &Queries,
) -> Run<String> {
    let mut exec = Exec {
        text,
        tree,
        around,
        queries,
        written: String::new(),
        variables: vec![("$".into(), data.clone())],
        steps: 0,
        calls: 0,
    };
    exec.nodes(&tree.root, data)?;
    Ok(exec.written)
}

struct Exec<'a> {
    text: &'a str,
    tree: &'a Tree,
    around: &'a Surroundings,
    queries: &'a Queries,
    written: String,
    variables: Vec<(String, Value)>,
    steps: u32,
    calls: usize,
}

impl Exec<'_> {
    fn fault(&self, span: &Range<usize>, message: impl Into<String>) -> Stop {
        Stop::Fault(TemplateError::execute(self.text, span, message))
    }

    fn step(&mut self, span: &Range<usize>) -> Run<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(self.fault(span, format!("more than {STEPS_MAX} steps")));
        }
        Ok(())
    }

    fn write(&mut self, text: &str, span: &Range<usize>) -> Run<()> {
        if self.written.len() + text.len() > self.around.bytes_max {
            return Err(self.fault(span, format!("result is longer than {} bytes", self.around.bytes_max)));
        }
        self.written.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Run<()> {
        nodes.iter().try_for_each(|node| self.node(node, dot))
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Run<()> {
        match node {
            Node::Text(text) => {
                self.step(&(0..0))?;
                self.write(text, &(0..0))
            }
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if !pipe.variables.is_empty() {
                    return Ok(());
                }
                self.write(&value.to_string(), &pipe.span)
            }
            Node::If(branch) => self.scoped(|exec| {
                let value = exec.pipe(&branch.pipe, dot)?;
                exec.either(branch, value.is_true(), dot, dot)
            }),
            Node::With(branch) => self.scoped(|exec| {
                let value = exec.pipe(&branch.pipe, dot)?;
                exec.either(branch, value.is_true(), &value, dot)
            }),
            Node::Range(branch) => self.scoped(|exec| exec.range(branch, dot)),
            Node::Call { name, data, span } => self.call(name, data.as_ref(), span, dot),
            Node::Break => Err(Stop::Break),
            Node::Continue => Err(Stop::Continue),
        }
    }

    /// Variables that are declared inside end with it.
    fn scoped<T>(&mut self, run: impl FnOnce(&mut Self) -> Run<T>) -> Run<T> {
        let scope = self.variables.len();
        let done = run(self);
        self.variables.truncate(scope);
        done
    }

    fn either(&mut self, branch: &Branch, is_true: bool, then_dot: &Value, dot: &Value) -> Run<()> {
        match (is_true, &branch.otherwise) {
            (true, _) => self.nodes(&branch.then, then_dot),
            (false, Some(otherwise)) => self.nodes(otherwise, dot),
            (false, None) => Ok(()),
        }
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Run<()> {
        // Variables of a range get a value for each entry, so the pipe declares none.
        let value = self.value_of(&branch.pipe, dot)?;
        let entries = self.entries(&value, &branch.pipe.span)?;
        if entries.is_empty() {
            return self.either(branch, false, dot, dot);
        }
        for (key, entry) in entries {
            self.step(&branch.pipe.span)?;
            let done = self.scoped(|exec| {
                exec.declare_entry(&branch.pipe, key, &entry);
                exec.nodes(&branch.then, &entry)
            });
            match done {
                Err(Stop::Break) => break,
                Ok(()) | Err(Stop::Continue) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn declare_entry(&mut self, pipe: &Pipe, key: Value, entry: &Value) {
        let values = match pipe.variables.len() {
            1 => vec![entry.clone()],
            _ => vec![key, entry.clone()],
        };
        for (name, value) in pipe.variables.iter().zip(values) {
            if pipe.assigns {
                self.assign(name, value);
            } else {
                self.variables.push((name.clone(), value));
            }
        }
    }

    fn entries(&self, value: &Value, span: &Range<usize>) -> Run<Vec<(Value, Value)>> {
        let int = |at: usize| Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
        Ok(match value {
            Value::Nil => Vec::new(),
            Value::List(all) => {
                all.iter().enumerate().map(|(at, one)| (int(at), Value::Series(Arc::clone(one)))).collect()
            }
            Value::Labels(map) => {
                map.iter().map(|(name, value)| (Value::text(name), Value::text(value))).collect()
            }
            Value::Map(map) => map.iter().map(|(name, value)| (Value::text(name), value.clone())).collect(),
            Value::Int(count) if *count <= i64::from(STEPS_MAX) => {
                (0..*count).map(|at| (Value::Int(at), Value::Int(at))).collect()
            }
            other => return Err(self.fault(span, format!("range can't iterate over {other}"))),
        })
    }

    fn call(&mut self, name: &str, data: Option<&Pipe>, span: &Range<usize>, dot: &Value) -> Run<()> {
        let Some(nodes) = self.tree.defined.get(name) else {
            return Err(self.fault(span, format!("template {name:?} not defined")));
        };
        if self.calls >= CALLS_MAX {
            return Err(self.fault(span, format!("exceeded maximum template depth ({CALLS_MAX})")));
        }
        let data = match data {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        // A template sees no variables of its caller; `$` is what it was given.
        let outer = std::mem::replace(&mut self.variables, vec![("$".into(), data.clone())]);
        self.calls += 1;
        let done = self.nodes(nodes, &data);
        self.calls -= 1;
        self.variables = outer;
        done
    }

    /// The value of a pipe; its variables get it.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
        let value = self.value_of(pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name.clone(), value.clone()));
            }
        }
        Ok(value)
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some((_, current)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *current = value;
        }
    }

    fn value_of(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    /// A function with its arguments, or a value. What comes through the pipe is the last argument.
    fn command(&mut self, command: &Command, dot: &Value, piped: Option<Value>) -> Run<Value> {
        let Some(first) = command.operands.first() else { return Ok(Value::Nil) };
        self.step(&command.span)?;
        if let Kind::Function(name) = &first.kind {
            return self.function(name, command, dot, piped);
        }
        if first.fields.is_empty() && (command.operands.len() > 1 || piped.is_some()) {
            let source = self.text.get(first.span.clone()).unwrap_or_default();
            return Err(self.fault(&first.span, format!("can't give argument to non-function {source}")));
        }
        if first.kind == Kind::Nil {
            return Err(self.fault(&first.span, "nil is not a command"));
        }
        let mut args = Vec::new();
        for operand in &command.operands[1..] {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(piped);
        self.with_args(first, dot, &args)
    }

    fn function(&mut self, name: &str, command: &Command, dot: &Value, piped: Option<Value>) -> Run<Value> {
        let given = command.operands.len() - 1 + usize::from(piped.is_some());
        functions::check_count(name, given).map_err(|message| self.fault(&command.span, message))?;
        if let "and" | "or" = name {
            return self.short_circuit(name == "and", command, dot, piped);
        }
        let mut args = Vec::with_capacity(given);
        for operand in &command.operands[1..] {
            args.push(self.operand(operand, dot)?);
        }
        args.extend(piped);
        let called =
            if name == "query" { self.query(&args)? } else { functions::call(name, &args, self.around) };
        let value = called
            .map_err(|message| self.fault(&command.span, format!("error calling {name}: {message}")))?;
        if matches!(&value, Value::Text(text) if text.len() > self.around.bytes_max) {
            let message = format!("result is longer than {} bytes", self.around.bytes_max);
            return Err(self.fault(&command.span, message));
        }
        Ok(value)
    }

    /// `and` stops at what is false, `or` at what is true; both say the last value they saw.
    fn short_circuit(
        &mut self,
        is_and: bool,
        command: &Command,
        dot: &Value,
        piped: Option<Value>,
    ) -> Run<Value> {
        let mut value = Value::Nil;
        for operand in &command.operands[1..] {
            value = self.operand(operand, dot)?;
            if value.is_true() != is_and {
                return Ok(value);
            }
        }
        Ok(piped.unwrap_or(value))
    }

    fn query(&self, args: &[Value]) -> Run<functions::Called> {
        let expr = match functions::text(&args[0]) {
            Ok(expr) => expr,
            Err(message) => return Ok(Err(message)),
        };
        self.queries.get(expr).cloned().ok_or_else(|| Stop::Query(expr.to_owned()))
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Run<Value> {
        self.step(&operand.span)?;
        if let Kind::Function(name) = &operand.kind {
            let command = Command { operands: vec![operand.clone()], span: operand.span.clone() };
            return self.function(name, &command, dot, None);
        }
        self.with_args(operand, dot, &[])
    }

    /// An operand and its fields, the last of which may be a method that takes arguments.
    fn with_args(&mut self, operand: &Operand, dot: &Value, args: &[Value]) -> Run<Value> {
        let mut value = self.base(operand, dot)?;
        let last = operand.fields.len().saturating_sub(1);
        for (at, name) in operand.fields.iter().enumerate() {
            let args = if at == last { args } else { &[] };
            value = field(&value, name, args).map_err(|message| self.fault(&operand.span, message))?;
        }
        Ok(value)
    }

    fn base(&mut self, operand: &Operand, dot: &Value) -> Run<Value> {
        Ok(match &operand.kind {
            Kind::Dot => dot.clone(),
            Kind::Nil | Kind::Function(_) => Value::Nil,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Int(value) => Value::Int(*value),
            Kind::Float(value) => Value::Float(*value),
            Kind::Text(text) => Value::text(text),
            Kind::Variable(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                let known = known.map(|(_, value)| value.clone());
                known.ok_or_else(|| self.fault(&operand.span, format!("undefined variable: {name}")))?
            }
            Kind::Pipe(pipe) => self.scoped(|exec| exec.pipe(pipe, dot))?,
        })
    }
}
