//! What is needed to derive metrics again from what is stored.
//!
//! ```text
//! view ─▶ ordered: rows of a time, in an order that does not depend on files ─▶ (derive again)
//!    └──▶ stored: samples of some metrics                                            │
//! draft: files that no commit names ◀────────────────────────────────────────────────┘
//!    └──▶ one commit: those files come, what they replace goes
//! ```
//!
//! | file | is |
//! |---|---|
//! | `ordered.rs` | rows in the order of time |
//! | `stored.rs` | samples of some metrics |
//! | `draft.rs` | samples on their way into one commit |

mod draft;
mod ordered;
mod stored;

pub use draft::{Draft, Gap};
pub use ordered::{OrderedRows, OrderedWindow};
