//! Templates as trees.

use std::collections::BTreeMap;
use std::ops::Range;

/// A template and the templates that it defines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    pub(super) root: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

/// What stands in a template, from its beginning to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Text outside of actions.
    Text(String),
    /// `{{ pipe }}`: printed unless it declares variables.
    Print(Pipe),
    /// `{{ if }}`; an `else if` is an `if` in the `otherwise`.
    If(Branch),
    /// `{{ range }}`.
    Range(Branch),
    /// `{{ with }}`.
    With(Branch),
    /// `{{ template "name" pipe }}`.
    Call { name: String, data: Option<Pipe>, span: Range<usize> },
    /// `{{ break }}`.
    Break,
    /// `{{ continue }}`.
    Continue,
}

/// A pipe and what is run for its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    pub(super) pipe: Pipe,
    pub(super) then: Vec<Node>,
    pub(super) otherwise: Option<Vec<Node>>,
}

/// `$a, $b := command | command`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipe {
    pub(super) variables: Vec<String>,
    /// `=` instead of `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
    pub(super) span: Range<usize>,
}

/// An operand and its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
    pub(super) span: Range<usize>,
}

/// A value, or a function.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Operand {
    pub(super) kind: Kind,
    /// `.a.b` behind it.
    pub(super) fields: Vec<String>,
    pub(super) span: Range<usize>,
}

/// Kinds of operands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Variable(String),
    Function(String),
    Pipe(Box<Pipe>),
}
