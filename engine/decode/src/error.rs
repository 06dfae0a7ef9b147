//! Why a whole request cannot be read.

use isinglass_model::ErrorKind;

/// A fault of the request as a whole: nothing of it is stored. Faults of single
/// items are in [`isinglass_model::batch::Decoded::rejections`] instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Bytes that are not what they are said to be.
    #[error("malformed {what}: {fault}{}{}", at_path(.path), at_offset(.offset))]
    Malformed {
        /// The protocol or compression that was being read.
        what: &'static str,
        /// What is wrong.
        fault: String,
        /// The field it is wrong in, as `resource_spans[0].scope_spans[2]`; may be empty.
        path: String,
        /// Where in the (decompressed) body.
        offset: Option<usize>,
    },
    /// A body over the cap, declared or real.
    #[error("{what} has {} bytes, the limit is {limit}", size(.got))]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size, where it is known.
        got: Option<u64>,
        /// The cap.
        limit: usize,
    },
    /// More items or symbols than a request may have.
    #[error("{what}: more than {limit} {of} in one request")]
    TooMany {
        /// The protocol.
        what: &'static str,
        /// What there are too many of.
        of: &'static str,
        /// The cap.
        limit: usize,
    },
    /// A format in which this protocol is not spoken.
    #[error("{protocol} is not taken as {format}")]
    Unsupported {
        /// The protocol.
        protocol: &'static str,
        /// The format asked for.
        format: &'static str,
    },
}

impl DecodeError {
    /// What it means to the sender.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } => ErrorKind::Malformed,
            Self::TooLarge { .. } | Self::TooMany { .. } => ErrorKind::TooLarge,
            Self::Unsupported { .. } => ErrorKind::Unsupported,
        }
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in {path}") }
}

fn at_offset(offset: &Option<usize>) -> String {
    offset.map(|at| format!(" at byte {at}")).unwrap_or_default()
}

fn size(got: &Option<u64>) -> String {
    got.map_or_else(|| "more".to_owned(), |got| got.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_what_and_where() {
        let error = DecodeError::Malformed {
            what: "OTLP traces",
            fault: "field ends early".into(),
            path: "resource_spans[0]".into(),
            offset: Some(7),
        };
        assert_eq!(
            error.to_string(),
            "malformed OTLP traces: field ends early in resource_spans[0] at byte 7"
        );
        assert_eq!(error.kind(), ErrorKind::Malformed);
        let error = DecodeError::TooLarge { what: "gzip body", got: None, limit: 10 };
        assert_eq!(error.to_string(), "gzip body has more bytes, the limit is 10");
    }
}
