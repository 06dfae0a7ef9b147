//! The series of one tenant, in memory: label sets, ids, verdicts, days.
//!
//! A series has three names: the fingerprint of its raw label bytes (per process),
//! the dense [`SeriesRef`](isinglass_model::series::SeriesRef) (per process) and its
//! `series_id` (for ever). The hot path, one lookup per sample, touches only the lock-free
//! parts: `fingerprints`, the slots of `table`, `days`.
//!
//! | question | module |
//! |---|---|
//! | raw label bytes to a ref, a ref to its ids and verdict | `fingerprints`, `table` |
//! | labels to series and back | `inverted`: `texts`, `lists`, `posting` |
//! | what the validators said, what is forgotten | `verdicts` |
//! | which series are active, and how many may be | `active` |
//! | metric names and their metadata | `metrics` |
//! | matchers to series | `matcher`, `expression`, `re2`, `select`, `values`, `answers` |
//! | which label names and values there are | `listing` |
//! | on which days a series was written | `days` |
//! | what queries are handed | `index`, `selection` |
//! | the table `series`, written and read back | `rows` |
//!
//! # Where labels are
//!
//! A series that a sender adds keeps its label set as it came until a record of the log
//! holds it: the validators may refuse it, and what they refuse must go again. From then on
//! it is in the index for good, and queries see it. There, each (name, value) pair is stored
//! once, a series is the list of its pairs' numbers (4 bytes each), and each value has a
//! posting, the refs of its series: up to three in the 16 bytes of the value, a short list
//! up to 64, a roaring bitmap beyond. Refs are given out in the order in which series come,
//! and series of one sender come together, so bitmaps are dense. A test counts the bytes per
//! series.
//!
//! # Matchers
//!
//! They mean exactly what they mean in Prometheus: expressions are RE2's and match whole
//! values, `.` matches a line feed, a missing label has the empty value. SQL, where a missing
//! label is NULL, says so with a second matcher (`name != ""`). Expressions that are lists
//! of texts become lookups, those that are a start, an end or a part become comparisons; the
//! others run once per distinct value, or only on values with a text that each match contains,
//! and what they found is kept for who asks again. Beyond 256 KiB of text, 4 MiB of program or a depth
//! of 100 they are refused.
//!
//! # Who waits for whom
//!
//! There is one lock, and nothing is matched, sorted, united or copied as a whole under it.
//! A reader holds it to take bitmaps (an `Arc` each), the texts of a label (an `Arc` and at
//! most 512 values), up to 1,024 postings or the labels of 256 series at a time: tens of
//! microseconds. A writer holds it for one series, some microseconds; what grows under it
//! grows in chunks and shards of a thirty-second, about a millisecond at a million series. A
//! bitmap that a reader has is copied when a writer changes it, once per reader, 128 KiB at
//! a million series. Values of a label are put in order by queries that need it, without
//! the lock.

mod active;
mod answers;
mod chunked;
mod days;
mod expression;
mod fingerprints;
mod grow;
mod index;
mod inverted;
mod listing;
mod lists;
mod matcher;
mod metrics;
mod posting;
mod re2;
mod resolver;
mod rows;
mod select;
mod selection;
mod sharded;
mod table;
mod texts;
mod values;
mod verdicts;

pub use active::SeriesLimits;
pub(crate) use answers::Answers;
pub(crate) use days::DaySet;
pub use index::{Days, Metric, Series, SeriesIndex};
pub use matcher::{MatchOp, Matcher};
pub use resolver::Resolver;
pub(crate) use rows::{restore_row, series_rows};
pub(crate) use select::select;
pub use selection::{LabelColumn, Limited, SeriesSelection};
pub(crate) use table::SeriesTable;
pub use verdicts::Arrival;

#[cfg(test)]
mod memory;
#[cfg(test)]
mod select_tests;
#[cfg(test)]
mod tests;
