//! Tokens to trees: here texts, actions and their ends.

mod pipe;

use std::collections::BTreeMap;
use std::ops::Range;

use super::ast::{Branch, Node, Tree};
use super::error::TemplateError;
use super::lexer::{Token, TokenKind, tokens};

/// Actions and parentheses inside each other, at most.
const DEPTH_MAX: usize = 64;

type Result<T> = std::result::Result<T, TemplateError>;

/// Reads a template.
pub(super) fn parse(text: &str) -> Result<Tree> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        variables: vec!["$".into()],
        defined: BTreeMap::new(),
        depth: 0,
        loops: 0,
    };
    let (root, end) = parser.list(true)?;
    if !matches!(end, End::File) {
        return Err(parser.fault(format!("unexpected {end}")));
    }
    Ok(Tree { root, defined: parser.defined })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// Names in scope, the innermost last.
    variables: Vec<String>,
    defined: BTreeMap<String, Vec<Node>>,
    depth: usize,
    loops: usize,
}

/// What a list of nodes ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    File,
    Done,
    /// `{{ else }}` with what follows it: nothing, `if` or `with`.
    Else,
    ElseIf,
    ElseWith,
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "EOF",
            Self::Done => "{{end}}",
            Self::Else | Self::ElseIf | Self::ElseWith => "{{else}}",
        })
    }
}

/// Which action a branch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    Range,
    With,
}

enum Item {
    Node(Node),
    Nothing,
    End(End),
}

impl Parser<'_> {
    fn fault(&self, message: impl Into<String>) -> TemplateError {
        let at = self.tokens.get(self.at).map_or(self.text.len(), |token| token.span.start);
        TemplateError::parse(self.text, at, message)
    }

    fn peek(&self) -> Option<&TokenKind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn take(&mut self, wanted: &TokenKind) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self, place: &str) -> TemplateError {
        let found = match self.tokens.get(self.at) {
            None => "EOF".to_owned(),
            Some(token) => format!("<{}>", self.text.get(token.span.clone()).unwrap_or_default()),
        };
        self.fault(format!("unexpected {found} in {place}"))
    }

    fn expect(&mut self, wanted: &TokenKind, place: &str) -> Result<()> {
        if self.take(wanted) { Ok(()) } else { Err(self.unexpected(place)) }
    }

    /// The bytes from a token up to the one read last.
    fn since(&self, first: usize) -> Range<usize> {
        let start = self.tokens.get(first).map_or(self.text.len(), |token| token.span.start);
        let end = self.tokens.get(self.at.saturating_sub(1)).map_or(start, |token| token.span.end);
        start..end.max(start)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.fault(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn list(&mut self, is_top: bool) -> Result<(Vec<Node>, End)> {
        let mut nodes = Vec::new();
        loop {
            let Some(token) = self.tokens.get(self.at) else { return Ok((nodes, End::File)) };
            if let TokenKind::Text(text) = &token.kind {
                nodes.push(Node::Text(text.clone()));
                self.at += 1;
                continue;
            }
            self.expect(&TokenKind::Open, "template")?;
            match self.action(is_top)? {
                Item::Node(node) => nodes.push(node),
                Item::Nothing => {}
                Item::End(end) => return Ok((nodes, end)),
            }
        }
    }

    fn action(&mut self, is_top: bool) -> Result<Item> {
        let word = match self.peek() {
            Some(TokenKind::Word(word)) => word.clone(),
            _ => String::new(),
        };
        let start = self.at;
        self.at += 1;
        match word.as_str() {
            "if" => self.branch(Control::If).map(|branch| Item::Node(Node::If(branch))),
            "range" => self.branch(Control::Range).map(|branch| Item::Node(Node::Range(branch))),
            "with" => self.branch(Control::With).map(|branch| Item::Node(Node::With(branch))),
            "template" => self.call(start).map(Item::Node),
            "block" => self.block(start).map(Item::Node),
            "define" if is_top => self.define().map(|()| Item::Nothing),
            "define" => Err(self.fault("unexpected {{define}}")),
            "end" => self.expect(&TokenKind::Close, "end").map(|()| Item::End(End::Done)),
            "else" => self.otherwise().map(Item::End),
            "break" => self.leave("break", Node::Break).map(Item::Node),
            "continue" => self.leave("continue", Node::Continue).map(Item::Node),
            _ => {
                self.at = start;
                let pipe = self.pipe("command", &TokenKind::Close)?;
                Ok(Item::Node(Node::Print(pipe)))
            }
        }
    }

    fn otherwise(&mut self) -> Result<End> {
        if self.take(&TokenKind::Word("if".into())) {
            return Ok(End::ElseIf);
        }
        if self.take(&TokenKind::Word("with".into())) {
            return Ok(End::ElseWith);
        }
        self.expect(&TokenKind::Close, "else").map(|()| End::Else)
    }

    fn leave(&mut self, name: &str, node: Node) -> Result<Node> {
        self.expect(&TokenKind::Close, name)?;
        if self.loops == 0 {
            return Err(self.fault(format!("{{{{{name}}}}} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    /// What follows `if`, `range` or `with`, up to its `end`. Variables live as long as it does.
    fn branch(&mut self, control: Control) -> Result<Branch> {
        let scope = self.variables.len();
        let branch = self.nested(|parser| parser.branch_inside(control));
        self.variables.truncate(scope);
        branch
    }

    fn branch_inside(&mut self, control: Control) -> Result<Branch> {
        let (name, again) = match control {
            Control::If => ("if", Some(End::ElseIf)),
            Control::Range => ("range", None),
            Control::With => ("with", Some(End::ElseWith)),
        };
        let pipe = self.pipe(name, &TokenKind::Close)?;
        self.loops += usize::from(control == Control::Range);
        let scope = self.variables.len();
        let list = self.list(false);
        self.variables.truncate(scope);
        self.loops -= usize::from(control == Control::Range);
        let (then, end) = list?;
        let otherwise = match end {
            End::Done => None,
            End::Else => Some(self.until_end()?),
            end if Some(end) == again => {
                let inner = self.branch(control)?;
                let node = if control == Control::If { Node::If(inner) } else { Node::With(inner) };
                Some(vec![node])
            }
            end => return Err(self.fault(format!("unexpected {end}"))),
        };
        Ok(Branch { pipe, then, otherwise })
    }

    fn until_end(&mut self) -> Result<Vec<Node>> {
        let scope = self.variables.len();
        let list = self.list(false);
        self.variables.truncate(scope);
        match list? {
            (nodes, End::Done) => Ok(nodes),
            (_, end) => Err(self.fault(format!("unexpected {end}"))),
        }
    }

    fn name(&mut self, place: &str) -> Result<String> {
        let Some(TokenKind::Quoted(name)) = self.peek() else { return Err(self.unexpected(place)) };
        let name = name.clone();
        self.at += 1;
        Ok(name)
    }

    fn call(&mut self, start: usize) -> Result<Node> {
        let name = self.name("template clause")?;
        let data = match self.peek() {
            Some(TokenKind::Close) => {
                self.at += 1;
                None
            }
            _ => Some(self.pipe("template clause", &TokenKind::Close)?),
        };
        Ok(Node::Call { name, data, span: self.since(start) })
    }

    fn block(&mut self, start: usize) -> Result<Node> {
        let name = self.name("block clause")?;
        let data = Some(self.pipe("block clause", &TokenKind::Close)?);
        let span = self.since(start);
        self.body(name.clone())?;
        Ok(Node::Call { name, data, span })
    }

    fn define(&mut self) -> Result<()> {
        let name = self.name("define clause")?;
        self.expect(&TokenKind::Close, "define clause")?;
        self.body(name)
    }

    /// A template of its own: it sees no variable of the outer one but `$`.
    fn body(&mut self, name: String) -> Result<()> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".into()]);
        let loops = std::mem::take(&mut self.loops);
        let nodes = self.nested(Self::until_end);
        self.variables = outer;
        self.loops = loops;
        self.defined.insert(name, nodes?);
        Ok(())
    }
}
