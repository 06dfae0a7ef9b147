//! What is needed to derive metrics again from what is stored.
//!
//! ```text
//! view ─▶ ordered: rows of a time, in an order that does not depend on files ─▶ (derive again)
//!    └──▶ stored: samples and native histograms of some metrics                      │
//! draft: files that no commit names ◀────────────────────────────────────────────────┘
//!    └──▶ one commit a table: those files come, what they replace goes
//! ```
//!
//! | file | is |
//! |---|---|
//! | `ordered.rs` | rows in the order of time |
//! | `stored.rs`, `histograms.rs` | samples and native histograms of some metrics |
//! | `draft.rs` | rows on their way into a commit of each table |

mod draft;
mod histograms;
mod ordered;
mod stored;

pub use draft::{Draft, DraftRows, Gap, ReplacedRows};
pub use ordered::{OrderedRows, OrderedWindow};
