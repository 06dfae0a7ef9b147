//! Tokens inside `[…]`: durations, arithmetic and one colon.

use super::super::token::{Keyword, Kind};
use super::{Lexer, Step, Within, arithmetic, char_quoted};

/// What was seen since a `[`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bracket {
    /// A number or duration.
    pub(super) number: bool,
    /// Anything that has a value.
    pub(super) value: bool,
    /// The colon of a subquery.
    pub(super) colon: bool,
}

impl Lexer<'_> {
    pub(super) fn in_bracket(&mut self, bracket: Bracket) -> Step {
        if bracket.number && self.peek() == Some('#') {
            return self.comment();
        }
        let Some(first) = self.next() else {
            return if bracket.number {
                self.end()
            } else {
                Err("unexpected end of input in duration expression".into())
            };
        };
        match first {
            ']' => {
                self.within = Within::Nothing;
                self.push(Kind::RightBracket)
            }
            ':' => self.colon(bracket),
            '(' | ')' | ',' => self.common(first),
            _ if arithmetic(first).is_some() => self.common(first),
            '0'..='9' => self.number_in_bracket(bracket),
            '.' if self.peek().is_some_and(|next| next.is_ascii_digit()) => self.number_in_bracket(bracket),
            'a'..='z' | 'A'..='Z' | '_' => self.word_in_bracket(bracket, first),
            '[' if bracket.number => Err("unexpected left bracket '['".into()),
            _ if bracket.number => self.common(first),
            other => Err(unexpected_in_bracket(other)),
        }
    }

    fn colon(&mut self, bracket: Bracket) -> Step {
        if !bracket.value {
            self.start = self.at;
            return Err("unexpected colon before duration in duration expression".into());
        }
        if bracket.colon {
            return Err("unexpected colon ':'".into());
        }
        self.within = Within::Bracket(Bracket { colon: true, ..bracket });
        self.push(Kind::Colon)
    }

    fn number_in_bracket(&mut self, bracket: Bracket) -> Step {
        self.within = Within::Bracket(Bracket { number: true, value: true, ..bracket });
        self.number()
    }

    fn word_in_bracket(&mut self, bracket: Bracket, first: char) -> Step {
        let rest = self.rest();
        let length = rest.find(|c: char| !c.is_ascii_alphabetic() && c != '_').unwrap_or(rest.len());
        let word = &self.text[self.start..self.at + length];
        match Kind::of_word(word) {
            kind @ Kind::Keyword(Keyword::Step | Keyword::Range | Keyword::MinOf | Keyword::MaxOf) => {
                self.at += length;
                self.within = Within::Bracket(Bracket { value: true, ..bracket });
                self.push(kind)
            }
            _ if bracket.number => {
                Err(format!("unexpected character: {}, expected ':'", char_quoted(Some(first))))
            }
            _ => Err(unexpected_in_bracket(first)),
        }
    }
}

fn unexpected_in_bracket(found: char) -> String {
    format!("unexpected character in duration expression: {}", char_quoted(Some(found)))
}
