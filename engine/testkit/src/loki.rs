//! Loki push requests.

use crate::proto::message;

/// A stream and its lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stream {
    /// The selector, `{app="shop"}`.
    pub labels: String,
    /// Nanoseconds since 1970, line, structured metadata.
    pub entries: Vec<(u64, String, Vec<(String, String)>)>,
}

impl Stream {
    /// A stream without lines.
    pub fn new(labels: &str) -> Self {
        Self { labels: labels.to_owned(), entries: Vec::new() }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, unix_nanos: u64, line: &str) -> Self {
        self.entries.push((unix_nanos, line.to_owned(), Vec::new()));
        self
    }

    /// Adds a line with structured metadata.
    #[must_use]
    pub fn line_with(mut self, unix_nanos: u64, line: &str, metadata: &[(&str, &str)]) -> Self {
        let metadata =
            metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.entries.push((unix_nanos, line.to_owned(), metadata));
        self
    }
}

/// A `PushRequest`, not compressed.
pub fn request(streams: &[Stream]) -> Vec<u8> {
    message(|request| {
        for stream in streams {
            request.message(1, |w| {
                w.text(1, &stream.labels);
                for (unix_nanos, line, metadata) in &stream.entries {
                    w.message(2, |entry| {
                        let (seconds, nanos) = (unix_nanos / 1_000_000_000, unix_nanos % 1_000_000_000);
                        entry
                            .message(1, |time| {
                                time.varint(1, seconds).varint(2, nanos);
                            })
                            .text(2, line);
                        for (name, value) in metadata {
                            entry.message(3, |pair| {
                                pair.text(1, name).text(2, value);
                            });
                        }
                    });
                }
            });
        }
    })
}
