//! How the memory of a merge is divided.
//!
//! | share | for | at 512 MiB |
//! |---|---|---|
//! | 1/4 | inputs: windows of compressed pages, open pages, one batch each | 128 MiB |
//! | 1/4 | encoders: of each column that has values an open page, a dictionary and what zstd needs | 128 MiB |
//! | 1/4 | decoded rows on their way from inputs to an output | 128 MiB |
//! | 1/8 | the row group that is being written, compressed | 64 MiB |
//! | 1/16 | fingerprints of rows with one key, which values columns of attributes have | 32 MiB |
//! | the rest | parts of the output that are being uploaded | 24 MiB |
//!
//! A share is a bound, not a reservation. The token index of a file of log lines comes on
//! top: 1.2 bytes for each identifier, 16 MiB at most, and while it is put as much again.
//! Three things do not shrink with it: a row that is larger than a share; what two inputs
//! need at the very least, a page of each of their columns; and the encoders, by estimate
//! 3 MiB a column at zstd level 1 and 20 at level 15, of which spans with many attributes
//! have 40. Columns of attributes are 16 more at the most, by default, at level 3.

/// Shares of [`super::MergeOptions::memory_bytes`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    memory: usize,
}

impl Budget {
    pub(super) fn of(memory_bytes: usize) -> Self {
        Self { memory: memory_bytes }
    }

    /// All inputs of a pass together.
    pub(super) fn inputs(self) -> usize {
        self.memory / 4
    }

    /// Decoded rows that wait to be written.
    pub(super) fn waiting(self) -> usize {
        (self.memory / 4).max(64 << 10)
    }

    /// The row group that is being written.
    pub(super) fn row_group(self) -> usize {
        (self.memory / 8).clamp(256 << 10, 64 << 20)
    }

    /// Fingerprints, of which a set takes 16 bytes each and, while it grows,
    /// three times that.
    pub(super) fn fingerprints(self) -> usize {
        (self.memory / 16 / 64).max(1 << 10)
    }

    /// Distinct texts that are counted for the columns of attributes of a file together, at
    /// 18 bytes each in a table that has just grown.
    pub(super) fn distinct(self) -> usize {
        self.memory / 16 / 18
    }

    /// A part of an upload; object stores want 5 MiB at least. Three are in
    /// memory: two on their way and the one that fills.
    pub(super) fn part(self) -> usize {
        (self.memory / 32).clamp(5 << 20, 8 << 20)
    }
}
