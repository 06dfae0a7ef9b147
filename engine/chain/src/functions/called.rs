//! Calls of a function: arguments cut to size, answers checked.

use std::ops::Range;

use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::functions::{CallError, FunctionSignature, States};

use super::held::{Held, bytes_of, text_bytes};
use super::values::{concat, concat_states, empty_text, texts, value};
use crate::abi::{ColumnIn, ColumnOut, FaultOut, TextIn, TextOut};
use crate::columns::{Prepared, Text};
use crate::cuts::cuts;
use crate::failure::{Failure, shorten};
use crate::instance::{Context, Instance};
use crate::plugin::{Caller, Plugin};

/// Bytes of text for the rows of one call, all parts together.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// A function of a plugin, and on whose behalf it is called. Calls are those of
/// [`isinglass_model::functions::ColumnFunction`].
#[derive(Clone, Copy)]
pub(crate) struct Called<'a> {
    pub(crate) plugin: &'a Plugin,
    pub(crate) caller: Caller<'a>,
    pub(crate) function: u16,
    pub(crate) signature: &'a FunctionSignature,
    /// Whether the plugin is left alone when it fails again and again.
    pub(crate) failures_count: bool,
}

impl Called<'_> {
    pub(crate) fn call(&self, rows: usize, arguments: &[Column]) -> Result<Column, CallError> {
        let (mut parts, mut bytes, mut held) = (Vec::new(), 0, Held::new(self.caller.memory));
        self.each_cut(rows, arguments, |cut, lowered| {
            let count = self.number(cut.len())?;
            let out = self.run(cut.len(), |guest, context| {
                guest.call_function(context, self.function, count, lowered)
            })?;
            let part = self.value(out, cut.len())?;
            held.take(bytes_of(&part)).map_err(|fault| self.denied(fault, rows))?;
            if let ColumnData::Text(text) = &part.data {
                bytes += text.data.len();
            }
            if bytes > TEXT_BYTES_MAX {
                return Err(self.error(format!("texts of more than {TEXT_BYTES_MAX} bytes"), rows, true));
            }
            parts.push(part);
            Ok(())
        })?;
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        // Parts and whole are there at one time.
        held.double().map_err(|fault| self.denied(fault, rows))?;
        Ok(concat(parts, self.signature.returns))
    }

    pub(crate) fn accumulate(
        &self,
        groups: usize,
        group_of_row: &[u32],
        rows: usize,
        arguments: &[Column],
    ) -> Result<States, CallError> {
        let mut all = States { groups: Vec::new(), bytes: empty_text() };
        let mut held = Held::new(self.caller.memory);
        self.each_cut(rows, arguments, |cut, lowered| {
            let (groups, count) = (self.number(groups)?, self.number(cut.len())?);
            let of_cut = group_of_row.get(cut.clone()).unwrap_or_default();
            let out = self.run(cut.len(), |guest, context| {
                guest.accumulate(context, self.function, (groups, of_cut), count, lowered)
            })?;
            let states = self.states(out, groups as usize, cut.len())?;
            held.take(text_bytes(&states.bytes)).map_err(|fault| self.denied(fault, rows))?;
            all = if all.groups.is_empty() { states } else { concat_states(&all, &states) };
            Ok(())
        })?;
        Ok(all)
    }

    pub(crate) fn merge(&self, groups: usize, states: &States) -> Result<States, CallError> {
        let rows = states.groups.len();
        let (count, text) = (self.number(groups)?, Text::new(&states.bytes));
        let (lowered, groups_of) = (TextIn { offsets: &text.offsets, data: &text.data }, &states.groups[..]);
        let out = self
            .run(rows, |guest, context| guest.merge(context, self.function, (count, groups_of), lowered))?;
        self.states(out, groups, rows)
    }

    pub(crate) fn finish(&self, states: &States) -> Result<Column, CallError> {
        let rows = states.groups.len();
        let text = Text::new(&states.bytes);
        let lowered = TextIn { offsets: &text.offsets, data: &text.data };
        let out = self.run(rows, |guest, context| guest.finish(context, self.function, lowered))?;
        self.value(out, rows)
    }

    fn error(&self, fault: String, rows: usize, of_arguments: bool) -> CallError {
        CallError {
            function: self.signature.name.clone(),
            plugin: self.plugin.plugin.clone(),
            fault: shorten(&fault),
            rows,
            of_arguments,
            of_memory: false,
        }
    }

    fn denied(&self, fault: String, rows: usize) -> CallError {
        CallError { of_memory: true, ..self.error(fault, rows, false) }
    }

    fn number(&self, rows: usize) -> Result<u32, CallError> {
        u32::try_from(rows).map_err(|_| self.error("too many rows for one call".to_owned(), rows, true))
    }

    fn failed(&self, failure: &Failure, rows: usize) -> CallError {
        if failure.denied {
            return self.denied(failure.message.clone(), rows);
        }
        if self.failures_count {
            self.plugin.failed(self.caller.tenant, failure);
        }
        self.error(failure.to_string(), rows, false)
    }

    /// One call into the plugin; a fault that it names is the query's.
    fn run<R>(
        &self,
        rows: usize,
        call: impl FnOnce(&mut Instance, &Context<'_>) -> Result<Result<R, FaultOut>, Failure>,
    ) -> Result<R, CallError> {
        let answer = self.plugin.call(self.caller, call).map_err(|failure| self.failed(&failure, rows))?;
        crate::stats::Meter::add(&self.plugin.meter.rows, rows as u64);
        answer.map_err(|FaultOut { row, message }| {
            let message = match row {
                Some(row) => format!("row {row}: {message}"),
                None => message,
            };
            self.error(message, rows, true)
        })
    }

    /// Calls `call` for parts of the rows that fit into one call.
    fn each_cut(
        &self,
        rows: usize,
        arguments: &[Column],
        mut call: impl FnMut(Range<usize>, &[ColumnIn<'_>]) -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let prepared: Vec<Prepared> =
            arguments.iter().map(|argument| Prepared::new(argument.clone(), None)).collect();
        if prepared.iter().any(|column| column.len() != rows) {
            return Err(self.error("arguments of unequal length".to_owned(), rows, true));
        }
        let columns: Vec<(u16, &Prepared)> = (0..).zip(&prepared).collect();
        for cut in cuts(rows, &columns, self.plugin.call_size) {
            if cut == (0..rows) {
                let lowered: Vec<_> = columns.iter().map(|(slot, column)| column.lower(*slot)).collect();
                call(cut, &lowered)?;
            } else {
                let slices: Vec<_> =
                    columns.iter().map(|(slot, column)| (*slot, column.slice(&cut))).collect();
                let lowered: Vec<_> = slices.iter().map(|(slot, column)| column.lower(*slot)).collect();
                call(cut, &lowered)?;
            }
        }
        Ok(())
    }

    /// A column that the plugin gave, checked.
    fn value(&self, out: ColumnOut, rows: usize) -> Result<Column, CallError> {
        value(out, self.signature.returns, rows).map_err(|fault| self.failed(&Failure::contract(fault), rows))
    }

    /// Byte strings that the plugin gave, one per group.
    fn states(&self, out: TextOut, groups: usize, rows: usize) -> Result<States, CallError> {
        let bytes = texts(out, groups).map_err(|fault| self.failed(&Failure::contract(fault), rows))?;
        // As many as fit 32 bits: `groups` was checked.
        Ok(States { groups: (0..).take(groups).collect(), bytes })
    }
}
