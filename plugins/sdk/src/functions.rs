//! Functions for queries: what a [`FunctionLibrary`] says and gives.

use std::ops::Range;

use crate::columns::{Batch, Data, Shape, TextData};
use crate::views::{Floats, Integers, Text, View};

/// The type of an argument or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// 64-bit float, read as [`Floats`].
    Float64,
    /// 64-bit integer, read as [`Integers`].
    Int64,
    /// Text, read as [`Text`].
    Text,
    /// True or false, read as [`crate::Bytes`] of 0 and 1.
    Boolean,
}

/// Whether the same arguments give the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volatility {
    /// Always.
    Immutable,
    /// Within a query.
    Stable,
    /// Never.
    Volatile,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Lower-case words with underscores.
    pub name: &'static str,
    /// Whether it gives a value per group of rows, not per row.
    pub aggregate: bool,
    /// Types of its arguments.
    pub arguments: &'static [ValueType],
    /// Type of its value.
    pub returns: ValueType,
    /// Whether it may be called less often than it is written.
    pub volatility: Volatility,
    /// One sentence.
    pub help: &'static str,
}

impl Function {
    /// A value per row that depends on the arguments only.
    pub const fn scalar(name: &'static str, arguments: &'static [ValueType], returns: ValueType) -> Self {
        Self { name, aggregate: false, arguments, returns, volatility: Volatility::Immutable, help: "" }
    }

    /// A value per group.
    pub const fn aggregate(name: &'static str, arguments: &'static [ValueType], returns: ValueType) -> Self {
        Self { name, aggregate: true, arguments, returns, volatility: Volatility::Immutable, help: "" }
    }

    /// The same with a sentence about it.
    pub const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }
}

/// Why a call gives nothing; ends the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The first row at fault, if it is one.
    pub row: Option<u32>,
    /// One sentence.
    pub message: String,
}

impl Fault {
    /// Of the call as a whole.
    pub fn new(message: impl Into<String>) -> Self {
        Self { row: None, message: message.into() }
    }

    /// Of a row.
    pub fn of_row(row: usize, message: impl Into<String>) -> Self {
        Self { row: u32::try_from(row).ok(), message: message.into() }
    }
}

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments(Batch);

impl Arguments {
    /// Of columns whose slots are positions; for tests.
    pub fn new(rows: usize, columns: Vec<crate::columns::Column>) -> Self {
        Self(Batch { shape: Shape::Samples, rows, columns })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.0.rows
    }

    /// An argument, in the view of its declared type.
    pub fn get<'a, V: View<'a>>(&'a self, position: usize) -> Result<V, Fault> {
        let slot = u16::try_from(position).unwrap_or(u16::MAX);
        V::read(&self.0, slot).ok_or_else(|| {
            Fault::new(["argument ", &(position + 1).to_string(), " is of another type"].concat())
        })
    }

    /// An argument of floats.
    pub fn floats(&self, position: usize) -> Result<Floats<'_>, Fault> {
        self.get(position)
    }

    /// An argument of integers.
    pub fn integers(&self, position: usize) -> Result<Integers<'_>, Fault> {
        self.get(position)
    }

    /// An argument of text.
    pub fn text(&self, position: usize) -> Result<Text<'_>, Fault> {
        self.get(position)
    }

    /// Which rows have a value in every argument, as bits; `None` = all.
    pub fn validity(&self) -> Option<Vec<u8>> {
        let mut all: Option<Vec<u8>> = None;
        for bits in self.0.columns.iter().filter_map(|column| column.validity.as_ref()) {
            match &mut all {
                None => all = Some(bits.clone()),
                Some(all) => all.iter_mut().zip(bits).for_each(|(all, bits)| *all &= bits),
            }
        }
        all
    }
}

/// The values that a call gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    pub(crate) validity: Option<Vec<u8>>,
    pub(crate) data: Data,
}

impl Values {
    /// Floats.
    pub fn floats(values: Vec<f64>) -> Self {
        Self { validity: None, data: Data::F64(values) }
    }

    /// Integers.
    pub fn integers(values: Vec<i64>) -> Self {
        Self { validity: None, data: Data::I64(values) }
    }

    /// Truth values.
    pub fn booleans(values: impl IntoIterator<Item = bool>) -> Self {
        Self { validity: None, data: Data::Bytes(values.into_iter().map(u8::from).collect()) }
    }

    /// Texts.
    pub fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        Self { validity: None, data: Data::Text(values.into_iter().collect()) }
    }

    /// The same, null where a bit of `validity` is 0, such as [`Arguments::validity`].
    pub fn valid_where(self, validity: Option<Vec<u8>>) -> Self {
        Self { validity, ..self }
    }

    /// The same, null where `valid` says so.
    pub fn valid_if(self, valid: impl IntoIterator<Item = bool>) -> Self {
        let mut bits = Vec::new();
        let mut full = true;
        for (row, valid) in valid.into_iter().enumerate() {
            if row % 8 == 0 {
                bits.push(0);
            }
            bits[row / 8] |= u8::from(valid) << (row % 8);
            full &= valid;
        }
        Self { validity: (!full).then_some(bits), ..self }
    }

    /// The data.
    pub fn data(&self) -> &Data {
        &self.data
    }
}

/// Which group each row belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Number of groups.
    pub groups: usize,
    /// One per row; empty if there is one group.
    pub of_row: Vec<u32>,
}

impl Grouping {
    /// The group of a row.
    #[inline]
    pub fn of(&self, row: usize) -> usize {
        self.of_row.get(row).map_or(0, |group| *group as usize)
    }
}

/// What an aggregate knows of a group: it can be written, read and added to another.
pub trait State: Default {
    /// Writes it; nothing for a group without rows.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what `write` wrote.
    fn read(bytes: &[u8]) -> Option<Self>;

    /// Adds another one.
    fn merge(&mut self, other: Self);
}

/// The states of groups as byte strings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct States(pub(crate) TextData);

impl States {
    /// Of byte strings, one after the other; for tests.
    pub fn of(states: &[impl State]) -> Self {
        let mut all = TextData::default();
        for state in states {
            state.write(&mut all.data);
            all.offsets.push(i32::try_from(all.data.len()).unwrap_or(i32::MAX));
        }
        Self(all)
    }

    /// Number of states.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, read.
    pub fn read<S: State>(&self) -> Result<Vec<S>, Fault> {
        let range =
            |at: usize| -> Range<usize> { self.0.offsets[at] as usize..self.0.offsets[at + 1] as usize };
        (0..self.len())
            .map(|at| match &self.0.data[range(at)] {
                [] => Ok(S::default()),
                bytes => S::read(bytes).ok_or_else(|| Fault::new("a state cannot be read")),
            })
            .collect()
    }
}

/// Adds rows to the states of their groups, which start out empty.
pub fn accumulate<S: State>(grouping: &Grouping, rows: usize, mut add: impl FnMut(&mut S, usize)) -> States {
    let mut states: Vec<S> = std::iter::repeat_with(S::default).take(grouping.groups).collect();
    for row in 0..rows {
        if let Some(state) = states.get_mut(grouping.of(row)) {
            add(state, row);
        }
    }
    States::of(&states)
}

/// Adds up the states of each group.
pub fn merge<S: State>(grouping: &Grouping, states: &States) -> Result<States, Fault> {
    let mut merged: Vec<S> = std::iter::repeat_with(S::default).take(grouping.groups).collect();
    for (at, state) in states.read::<S>()?.into_iter().enumerate() {
        if let Some(of_group) = merged.get_mut(grouping.of(at)) {
            of_group.merge(state);
        }
    }
    Ok(States::of(&merged))
}

/// Bytes that are a sequence of 64-bit floats.
pub fn write_floats(floats: &[f64], out: &mut Vec<u8>) {
    floats.iter().for_each(|float| out.extend_from_slice(&float.to_le_bytes()));
}

/// Reads what [`write_floats`] wrote.
pub fn read_floats(bytes: &[u8]) -> Option<Vec<f64>> {
    let (floats, rest) = bytes.as_chunks::<8>();
    rest.is_empty().then(|| floats.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}
