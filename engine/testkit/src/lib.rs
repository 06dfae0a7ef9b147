//! What tests and benches share: requests as senders write them, a ledger of
//! what was acknowledged, a store that fails on demand, a clock that stands still.
//!
//! | module | holds |
//! |---|---|
//! | [`proto`] | a protobuf writer, so that requests are built independently of the code under test |
//! | [`otlp`], [`remote_write`], [`remote_write_2`], [`loki`] | requests field by field, also broken ones |
//! | [`load`] | seeded loads: the shapes of the bench at any size |
//! | [`ledger`] | acknowledged against found: lost, doubled, invented |
//! | [`faulty`] | an object store that fails before or after the deed |
//!
//! It is a dev-dependency only and knows nothing of the store.
//!
//! ```
//! use isinglass_testkit::{otlp, remote_write};
//!
//! let span = otlp::Span::server("GET /", 1_000, 2_000);
//! let body = otlp::traces(&[otlp::text("service.name", "shop")], &[span]);
//! assert!(!body.is_empty());
//!
//! let series = remote_write::Series::new(&[("__name__", "up")]).sample(1_000, 1.0);
//! assert!(!remote_write::request(&[series]).is_empty());
//! ```

pub mod faulty;
pub mod ledger;
pub mod load;
pub mod loki;
pub mod otlp;
pub mod proto;
pub mod remote_write;
pub mod remote_write_2;

pub use isinglass_model::clock::ManualClock;
