//! Templates run: what they write, within bounds.

mod pipe;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::ast::{Branch, Node, Pipe, Tree};
use super::error::TemplateError;
use super::functions::Surroundings;
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
}
