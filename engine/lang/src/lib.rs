//! Query languages: text, tokens, positions. No Arrow, no DataFusion.
//!
//! | module | holds |
//! |---|---|
//! | [`token`] | a lexer for SQL that never fails: every byte belongs to a token |
//! | [`gate`] | limits on a text that are checked before any parser sees it |
//! | [`promql`] | PromQL: tree with positions, parser, printer |
//! | [`shortest`] | floats in the fewest digits, as Go writes them |
//! | [`position`] | byte offset ⇄ line and column, and the caret under it |
//!
//! ```
//! use isinglass_lang::{gate, position::Position};
//!
//! assert!(gate::check("SELECT 1 + 1", &gate::Limits::default()).is_ok());
//!
//! let bomb = format!("SELECT 1{}", " + 1".repeat(10_000));
//! let fault = gate::check(&bomb, &gate::Limits::default()).unwrap_err();
//! let at = Position::of(&bomb, fault.offset());
//! assert_eq!((at.line, fault.to_string().contains("nested")), (1, true));
//! ```

pub mod gate;
pub mod position;
pub mod promql;
pub mod shortest;
pub mod token;

pub use position::Position;
