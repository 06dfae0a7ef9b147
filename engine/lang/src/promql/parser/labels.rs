//! Lists of labels: `(a, "b.c")` and `{a="b"}` of a series.

use super::super::ast::BinaryOp;
use super::super::token::Kind;
use super::super::{quoted, unquote};
use super::{Parsed, Parser};

const GROUPING: &str = "grouping opts";
const LABEL_SET: &str = "label set";

impl Parser<'_> {
    /// The labels of `by`, `without`, `on`, `ignoring` and `group_…`.
    pub(super) fn label_names(&mut self) -> Parsed<Vec<String>> {
        if self.take(Kind::LeftParen).is_none() {
            return Err(self.unexpected_in(GROUPING, "\"(\""));
        }
        let mut names = Vec::new();
        if self.take(Kind::RightParen).is_some() {
            return Ok(names);
        }
        loop {
            names.push(self.label_name()?);
            let comma = self.take(Kind::Comma).is_some();
            if self.take(Kind::RightParen).is_some() {
                return Ok(names);
            }
            if !comma {
                return Err(self.unexpected_in(GROUPING, "\",\" or \")\""));
            }
        }
    }

    fn label_name(&mut self) -> Parsed<String> {
        let token = self.token();
        let name = match token.kind {
            Kind::Text => unquote::unquoted(self.written(token)),
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => self.written(token).into(),
            Kind::Operator(BinaryOp::And | BinaryOp::Or | BinaryOp::Unless | BinaryOp::Atan2) => {
                self.written(token).into()
            }
            Kind::Keyword(word) if word.is_label_name() => self.written(token).into(),
            _ => return Err(self.unexpected_in(GROUPING, "label")),
        };
        self.next();
        if name.is_empty() {
            self.note(token.span, format!("invalid label name for grouping: {}", quoted(&name)));
        }
        Ok(name)
    }

    /// `name{a="b"}` of a series: its labels and its name as `__name__`, by label.
    pub(super) fn metric(&mut self) -> Parsed<Vec<(String, String)>> {
        let name = self.metric_name();
        let mut labels = if self.take(Kind::LeftBrace).is_some() { self.label_set()? } else { Vec::new() };
        if let Some((name, _)) = name {
            labels.retain(|(label, _)| label != "__name__");
            labels.push(("__name__".into(), name));
        }
        labels.sort();
        Ok(labels)
    }

    fn label_set(&mut self) -> Parsed<Vec<(String, String)>> {
        let mut labels = Vec::new();
        if self.take(Kind::RightBrace).is_some() {
            return Ok(labels);
        }
        loop {
            labels.push(self.label()?);
            let comma = self.take(Kind::Comma).is_some();
            if self.take(Kind::RightBrace).is_some() {
                return Ok(labels);
            }
            if !comma {
                return Err(self.unexpected_in(LABEL_SET, "\",\" or \"}\""));
            }
        }
    }

    fn label(&mut self) -> Parsed<(String, String)> {
        let token = self.token();
        let name = match token.kind {
            Kind::Identifier => self.written(token).to_owned(),
            Kind::Text => unquote::unquoted(self.written(token)),
            _ => return Err(self.unexpected_in(LABEL_SET, "identifier or \"}\"")),
        };
        self.next();
        if self.take(Kind::Equal).is_none() {
            return if token.kind == Kind::Text {
                Ok(("__name__".into(), name))
            } else {
                Err(self.unexpected_in(LABEL_SET, "\"=\""))
            };
        }
        let Some(value) = self.take(Kind::Text) else { return Err(self.unexpected_in(LABEL_SET, "string")) };
        Ok((name, unquote::unquoted(self.written(value))))
    }
}
