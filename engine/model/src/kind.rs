//! The kinds of row, each of which is a table per tenant.

use std::fmt;

/// A kind of row. The number is the section tag of the WAL: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Label sets by day: the record of which series exist.
    Series = 1,
    /// Float samples.
    Samples = 2,
    /// Native and exponential histograms.
    Histograms = 3,
    /// Exemplars of samples and histograms.
    Exemplars = 4,
    /// Log records.
    Logs = 5,
    /// Spans.
    Spans = 6,
    /// What was not kept, and why.
    Rejected = 7,
    /// What plugins that are tried out would have done.
    Shadow = 8,
    /// Which refused items were sent again and kept.
    Reingested = 9,
}

impl Kind {
    /// All kinds. `Series` comes first: its rows are committed before the
    /// samples that refer to them.
    pub const ALL: [Self; 9] = [
        Self::Series,
        Self::Samples,
        Self::Histograms,
        Self::Exemplars,
        Self::Logs,
        Self::Spans,
        Self::Rejected,
        Self::Shadow,
        Self::Reingested,
    ];

    /// The name of the table and of its folder.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Histograms => "histograms",
            Self::Exemplars => "exemplars",
            Self::Logs => "logs",
            Self::Spans => "spans",
            Self::Rejected => "rejected",
            Self::Shadow => "shadow",
            Self::Reingested => "reingested",
        }
    }

    /// The kind with this WAL tag.
    pub const fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            1 => Self::Series,
            2 => Self::Samples,
            3 => Self::Histograms,
            4 => Self::Exemplars,
            5 => Self::Logs,
            6 => Self::Spans,
            7 => Self::Rejected,
            8 => Self::Shadow,
            9 => Self::Reingested,
            _ => return None,
        })
    }

    /// The kind with this table name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three signals, as senders and plugins name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Samples, histograms and their exemplars.
    Metrics,
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Traces];

    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Traces => "traces",
        }
    }
}
