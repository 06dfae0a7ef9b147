//! Bodies as they come over the wire, to bodies as they are read.

use std::io::Read;

use bytes::Bytes;

use crate::error::DecodeError;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// `gzip`, one or more members.
    Gzip,
    /// `zstd`, one or more frames.
    Zstd,
    /// Snappy's block format, which remote write and Loki use.
    Snappy,
    /// HTTP's `deflate`: with or without the zlib header, as senders do both.
    Deflate,
}

/// A copy of at most 64 bytes takes at least 3: no block can promise more.
const SNAPPY_RATIO_MAX: usize = 22;

/// Undoes `compression`. A declared size is checked before anything is
/// allocated, and no more than `bytes_max` (and one read) is ever produced.
pub fn decompress(compression: Compression, body: Bytes, bytes_max: usize) -> Result<Bytes, DecodeError> {
    match compression {
        Compression::None => check_size("body", Some(body.len() as u64), bytes_max).map(|()| body),
        Compression::Gzip => {
            stream("gzip body", flate2::bufread::MultiGzDecoder::new(&*body), body.len(), bytes_max)
        }
        Compression::Deflate if has_zlib_header(&body) => {
            stream("deflate body", flate2::bufread::ZlibDecoder::new(&*body), body.len(), bytes_max)
        }
        Compression::Deflate => {
            stream("deflate body", flate2::bufread::DeflateDecoder::new(&*body), body.len(), bytes_max)
        }
        Compression::Zstd => unzstd(&body, bytes_max),
        Compression::Snappy => unsnap(&body, bytes_max),
    }
}

fn unsnap(body: &[u8], bytes_max: usize) -> Result<Bytes, DecodeError> {
    let what = "snappy body";
    let declared = snap::raw::decompress_len(body).map_err(|error| malformed(what, &error, Some(0)))?;
    check_size(what, Some(declared as u64), bytes_max)?;
    if declared > body.len().saturating_mul(SNAPPY_RATIO_MAX) {
        let fault = format!("header declares {declared} bytes, more than {} bytes can hold", body.len());
        return Err(malformed(what, &fault, Some(0)));
    }
    let mut out = vec![0; declared];
    let written = snap::raw::Decoder::new()
        .decompress(body, &mut out)
        .map_err(|error| malformed(what, &error, snappy_offset(&error)))?;
    out.truncate(written);
    Ok(out.into())
}

/// Where snappy stopped, as far as its error knows.
fn snappy_offset(error: &snap::Error) -> Option<usize> {
    match error {
        snap::Error::Literal { .. } | snap::Error::CopyRead { .. } | snap::Error::Offset { .. } => None,
        _ => Some(0),
    }
}

fn unzstd(body: &[u8], bytes_max: usize) -> Result<Bytes, DecodeError> {
    let what = "zstd body";
    let declared = zstd::zstd_safe::get_frame_content_size(body)
        .map_err(|_| malformed(what, &"frame header is damaged", Some(0)))?;
    check_size(what, declared, bytes_max)?;
    let mut decoder =
        zstd::stream::read::Decoder::with_buffer(body).map_err(|error| malformed(what, &error, Some(0)))?;
    // The window of a frame is memory too: no larger than the largest body, but
    // no smaller than the 8 MiB that every zstd decoder has to support.
    let window_log = bytes_max.next_power_of_two().ilog2().clamp(23, 26);
    decoder.window_log_max(window_log).map_err(|error| malformed(what, &error, Some(0)))?;
    let hint = declared.and_then(|size| usize::try_from(size).ok());
    read_capped(what, decoder, hint.unwrap_or(body.len().saturating_mul(4)), bytes_max)
}

fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [a, b, ..] if a & 0x0f == 8 && (u16::from(*a) << 8 | u16::from(*b)).is_multiple_of(31))
}

fn stream(
    what: &'static str,
    reader: impl Read,
    wire: usize,
    bytes_max: usize,
) -> Result<Bytes, DecodeError> {
    read_capped(what, reader, wire.saturating_mul(4), bytes_max)
}

/// Reads to the end, but not beyond the cap. `hint` is where the buffer starts.
fn read_capped(
    what: &'static str,
    reader: impl Read,
    hint: usize,
    bytes_max: usize,
) -> Result<Bytes, DecodeError> {
    let mut out = Vec::with_capacity(hint.min(bytes_max).saturating_add(1));
    let cap = (bytes_max as u64).saturating_add(1);
    reader.take(cap).read_to_end(&mut out).map_err(|error| {
        let fault = format!("{error} after {} bytes of output", out.len());
        malformed(what, &fault, None)
    })?;
    if out.len() > bytes_max {
        return Err(DecodeError::TooLarge { what, got: None, limit: bytes_max });
    }
    Ok(out.into())
}

fn check_size(what: &'static str, got: Option<u64>, limit: usize) -> Result<(), DecodeError> {
    match got {
        Some(size) if size > limit as u64 => Err(DecodeError::TooLarge { what, got, limit }),
        _ => Ok(()),
    }
}

fn malformed(what: &'static str, fault: &dyn std::fmt::Display, offset: Option<usize>) -> DecodeError {
    DecodeError::Malformed { what, fault: fault.to_string(), path: String::new(), offset }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression as Level;
    use isinglass_model::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    const CODECS: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Snappy, Compression::Deflate];

    fn compress(compression: Compression, body: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => body.to_vec(),
            Compression::Gzip => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), Level::fast());
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            Compression::Deflate => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Level::fast());
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            Compression::Zstd => zstd::stream::encode_all(body, 1).unwrap(),
            Compression::Snappy => snap::raw::Encoder::new().compress_vec(body).unwrap(),
        }
    }

    fn kind(compression: Compression, body: Vec<u8>, bytes_max: usize) -> Option<ErrorKind> {
        decompress(compression, body.into(), bytes_max).err().map(|error| error.kind())
    }

    #[test]
    fn bodies_come_back_and_the_cap_is_exact() {
        let body = b"0123456789".repeat(1_000);
        for codec in CODECS {
            let wire = compress(codec, &body);
            assert_eq!(decompress(codec, wire.clone().into(), body.len()).unwrap(), body, "{codec:?}");
            assert_eq!(kind(codec, wire, body.len() - 1), Some(ErrorKind::TooLarge), "{codec:?}");
        }
    }

    #[test]
    fn raw_deflate_and_several_members() {
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), Level::fast());
        raw.write_all(b"hello").unwrap();
        assert_eq!(
            decompress(Compression::Deflate, raw.finish().unwrap().into(), 100).unwrap(),
            &b"hello"[..]
        );
        for codec in [Compression::Gzip, Compression::Zstd] {
            let wire = [compress(codec, b"ab"), compress(codec, b"cd")].concat();
            assert_eq!(decompress(codec, wire.into(), 100).unwrap(), &b"abcd"[..]);
        }
    }

    #[test]
    fn a_snappy_header_that_promises_too_much() {
        // 64 MiB declared in front of two bytes
        let error =
            decompress(Compression::Snappy, vec![0x80, 0x80, 0x80, 0x20, 0x00].into(), 64 << 20).unwrap_err();
        assert_eq!(
            error.to_string(),
            "malformed snappy body: header declares 67108864 bytes, more than 5 bytes can hold at byte 0"
        );
        let error =
            decompress(Compression::Snappy, vec![0xff, 0xff, 0xff, 0xff, 0x0f].into(), 64 << 20).unwrap_err();
        assert_eq!(error.to_string(), "snappy body has 4294967295 bytes, the limit is 67108864");
    }

    #[test]
    fn garbage_is_malformed() {
        for codec in [Compression::Gzip, Compression::Zstd, Compression::Snappy] {
            assert_eq!(
                kind(codec, b"this is not compressed".to_vec(), 1 << 20),
                Some(ErrorKind::Malformed),
                "{codec:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_body_survives(body in proptest::collection::vec(any::<u8>(), 0..5_000)) {
            for codec in CODECS {
                prop_assert_eq!(&decompress(codec, compress(codec, &body).into(), 5_000).unwrap(), &body);
            }
        }

        #[test]
        fn any_bytes_never_exceed_the_cap(body in proptest::collection::vec(any::<u8>(), 0..500), codec in 0..5usize) {
            if let Ok(out) = decompress(CODECS[codec], body.into(), 300) {
                prop_assert!(out.len() <= 300);
            }
        }

        #[test]
        fn truncated_bodies_are_errors(body in proptest::collection::vec(any::<u8>(), 1..2_000), cut in any::<prop::sample::Index>()) {
            for codec in [Compression::Gzip, Compression::Zstd, Compression::Snappy, Compression::Deflate] {
                let mut wire = compress(codec, &body);
                wire.truncate(cut.index(wire.len()));
                // an empty stream of gzip or zstd frames is an empty body
                if !wire.is_empty() {
                    prop_assert_eq!(kind(codec, wire, 1 << 20), Some(ErrorKind::Malformed), "{:?}", codec);
                }
            }
        }
    }
}
