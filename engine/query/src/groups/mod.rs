//! Groups by texts and times, before they are merged.
//!
//! `GROUP BY service, date_bin(…, time)` is what dashboards ask. DataFusion hashes and compares each
//! column of each row for it, four tenths of such a question. Our files are sorted by service or
//! name and by time, so most rows belong to the group of the row before them; the others find theirs
//! by the sixteen bytes with which Arrow refers to a text, and by tables of small numbers. Groups by
//! one text, `GROUP BY user_id`, are made here, too: where each row has its own, most of the time
//! is waiting for memory, which several rows do at once.
//!
//! [`PartialGroupsExec`] takes the place of DataFusion's partial aggregation where it can. What it
//! gives is the same, states of groups, and whoever merges those takes them in any pieces: where
//! there are too many groups, or no memory for them, it gives what it has and begins again; where nearly
//! every row is a group of its own, it gives the rows.

mod alone;
mod exec;
mod keys;
mod numbers;
mod pairs;
mod texts;

pub(crate) use exec::PartialGroupsExec;

#[cfg(test)]
mod tests;
