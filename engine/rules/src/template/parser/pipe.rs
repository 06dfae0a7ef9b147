//! What stands inside of an action: pipes, commands, operands.

use super::super::ast::{Command, Kind, Operand, Pipe};
use super::super::functions;
use super::super::lexer::{Token, TokenKind};
use super::{Parser, Result};

impl Parser<'_> {
    pub(super) fn pipe(&mut self, place: &str, end: &TokenKind) -> Result<Pipe> {
        let start = self.at;
        let (declared, assigns) = self.variables_before(place)?;
        let mut commands = vec![self.command(place, end)?];
        while self.take(&TokenKind::Pipe) {
            commands.push(self.command(place, end)?);
            let first = commands.last().and_then(|command| command.operands.first());
            if let Some(first) = first.filter(|first| is_constant(&first.kind)) {
                let text = self.text.get(first.span.clone()).unwrap_or_default();
                let message = format!("non executable command in pipeline stage {}: {text}", commands.len());
                return Err(self.fault(message));
            }
        }
        let span = self.since(start);
        self.expect(end, place)?;
        if !assigns {
            self.variables.extend(declared.iter().cloned());
        }
        Ok(Pipe { variables: declared, assigns, commands, span })
    }

    /// `$a :=`, `$a, $b :=` or `$a =`, where there is one.
    fn variables_before(&mut self, place: &str) -> Result<(Vec<String>, bool)> {
        let kind = |at: usize| self.tokens.get(at).map(|token| &token.kind);
        let (Some(TokenKind::Variable(first)), next) = (kind(self.at), kind(self.at + 1)) else {
            return Ok((Vec::new(), false));
        };
        match (next, kind(self.at + 2), kind(self.at + 3)) {
            (Some(TokenKind::Declare), _, _) => {
                let names = vec![first.clone()];
                self.at += 2;
                Ok((names, false))
            }
            (Some(TokenKind::Assign), _, _) => {
                let names = vec![first.clone()];
                self.check_variable(&names[0])?;
                self.at += 2;
                Ok((names, true))
            }
            (Some(TokenKind::Comma), Some(TokenKind::Variable(second)), Some(TokenKind::Declare))
                if place == "range" =>
            {
                let names = vec![first.clone(), second.clone()];
                self.at += 4;
                Ok((names, false))
            }
            (Some(TokenKind::Comma), _, _) => Err(self.fault(format!("too many declarations in {place}"))),
            _ => Ok((Vec::new(), false)),
        }
    }

    fn check_variable(&self, name: &str) -> Result<()> {
        if self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(self.fault(format!("undefined variable {name:?}")))
    }

    fn command(&mut self, place: &str, end: &TokenKind) -> Result<Command> {
        let start = self.at;
        let mut operands = Vec::new();
        while let Some(kind) = self.peek() {
            if kind == end || *kind == TokenKind::Pipe {
                break;
            }
            let spaced = self.tokens[self.at].spaced;
            if !operands.is_empty() && !spaced && !matches!(kind, TokenKind::Left) {
                return Err(self.unexpected("operand"));
            }
            operands.push(self.operand(place)?);
        }
        if operands.is_empty() {
            return Err(self.fault(format!("missing value for {place}")));
        }
        Ok(Command { operands, span: self.since(start) })
    }

    fn operand(&mut self, place: &str) -> Result<Operand> {
        let start = self.at;
        let Some(kind) = self.peek().cloned() else { return Err(self.unexpected(place)) };
        self.at += 1;
        let mut fields = Vec::new();
        let kind = match kind {
            TokenKind::Dot => Kind::Dot,
            TokenKind::Field(name) => {
                fields.push(name);
                Kind::Dot
            }
            TokenKind::Variable(name) => {
                self.check_variable(&name)?;
                Kind::Variable(name)
            }
            TokenKind::Word(word) => self.word(&word)?,
            TokenKind::Quoted(text) => Kind::Text(text),
            TokenKind::Int(int) => Kind::Int(int),
            TokenKind::Float(float) => Kind::Float(float),
            TokenKind::Left => {
                let pipe = self.nested(|parser| parser.pipe("parenthesized pipeline", &TokenKind::Right))?;
                Kind::Pipe(Box::new(pipe))
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected(place));
            }
        };
        while let Some(Token { kind: TokenKind::Field(name), spaced: false, .. }) = self.tokens.get(self.at) {
            fields.push(name.clone());
            self.at += 1;
        }
        if !fields.is_empty() && (is_constant(&kind) || matches!(kind, Kind::Function(_))) {
            return Err(self.fault(format!("unexpected . after term {:?}", self.since(start))));
        }
        Ok(Operand { kind, fields, span: self.since(start) })
    }

    fn word(&self, word: &str) -> Result<Kind> {
        Ok(match word {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "nil" => Kind::Nil,
            _ if functions::exists(word) => Kind::Function(word.into()),
            _ => return Err(self.fault(format!("function {word:?} not defined"))),
        })
    }
}

fn is_constant(kind: &Kind) -> bool {
    matches!(kind, Kind::Nil | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_))
}
