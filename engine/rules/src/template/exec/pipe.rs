//! The values of pipes.

use super::super::ast::{Command, Kind, Operand, Pipe};
use super::super::fields::field;
use super::super::functions;
use super::super::value::Value;
use super::{Exec, Run, Stop};

impl Exec<'_> {
    /// The value of a pipe; its variables get it.
    pub(super) fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
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

    pub(super) fn assign(&mut self, name: &str, value: Value) {
        if let Some((_, current)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *current = value;
        }
    }

    pub(super) fn value_of(&mut self, pipe: &Pipe, dot: &Value) -> Run<Value> {
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
