//! An answer as frames of chunks: a series is never whole in memory as bytes.
//!
//! ```text
//! frame  length uvarint │ CRC-32C u32 BE │ ChunkedReadResponse: one series, up to 1 MiB of its chunks
//! ```

use std::vec::IntoIter;

use isinglass_promql::{Point, Sample};
use isinglass_query::RawSeries;
use prost::Message;

use super::message::{Chunk, ChunkedReadResponse, ChunkedSeries};
use super::{samples, xor};

/// Samples of a chunk, as many as Prometheus packs.
const CHUNK_SAMPLES: usize = 120;
/// Bytes of chunks and labels after which a frame is closed, as Prometheus'
/// `storage.remote.read-max-bytes-in-frame`.
const FRAME_BYTES: usize = 1 << 20;
const ENCODING_XOR: i32 = 1;

/// Frames of all results, in order; series of a result must be sorted.
pub(super) fn frames(results: Vec<Vec<RawSeries>>) -> impl Iterator<Item = Vec<u8>> + Send + 'static {
    results.into_iter().enumerate().flat_map(|(at, series)| {
        let query_index = i64::try_from(at).unwrap_or(i64::MAX);
        series.into_iter().flat_map(move |series| Frames::of(series, query_index))
    })
}

/// The frames of one series.
struct Frames {
    series: ChunkedSeries,
    points: std::iter::Peekable<IntoIter<Point>>,
    query_index: i64,
}

impl Frames {
    fn of(series: RawSeries, query_index: i64) -> Self {
        let labels = samples::labels(&series.labels);
        Self {
            series: ChunkedSeries { labels, chunks: Vec::new() },
            points: series.points.into_iter().peekable(),
            query_index,
        }
    }
}

impl Iterator for Frames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes: usize = self.series.labels.iter().map(Message::encoded_len).sum();
        self.series.chunks.clear();
        while bytes < FRAME_BYTES
            && let Some(chunk) = chunk(&mut self.points)
        {
            bytes += chunk.encoded_len();
            self.series.chunks.push(chunk);
        }
        if self.series.chunks.is_empty() {
            return None;
        }
        let response = ChunkedReadResponse {
            series: vec![std::mem::take(&mut self.series)],
            query_index: self.query_index,
        };
        let frame = frame(&response);
        self.series = response.series.into_iter().next().unwrap_or_default();
        Some(frame)
    }
}

/// The next samples as a chunk. There are no histograms here, see the module above.
fn chunk(points: &mut impl Iterator<Item = Point>) -> Option<Chunk> {
    let floats = points.filter_map(|point| match point.sample {
        Sample::Float(value) => Some((point.time_ms, value)),
        Sample::Histogram(_) => None,
    });
    let samples: Vec<_> = floats.take(CHUNK_SAMPLES).collect();
    let (first, last) = (samples.first()?, samples.last()?);
    Some(Chunk {
        min_time_ms: first.0,
        max_time_ms: last.0,
        encoding: ENCODING_XOR,
        data: xor::encode(&samples),
    })
}

fn frame(response: &ChunkedReadResponse) -> Vec<u8> {
    let bytes = response.encode_to_vec();
    let mut frame = Vec::with_capacity(bytes.len() + 9);
    // Encoding a number into memory cannot fail.
    prost::encoding::encode_varint(bytes.len() as u64, &mut frame);
    frame.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    frame.extend_from_slice(&bytes);
    frame
}

#[cfg(test)]
mod tests {
    use isinglass_promql::Labels;

    use super::*;

    /// Reads frames as Prometheus' `ChunkedReader` does.
    fn decode(mut bytes: &[u8]) -> Vec<ChunkedReadResponse> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let length = prost::encoding::decode_varint(&mut bytes).unwrap() as usize;
            let (sum, rest) = bytes.split_at(4);
            let (message, rest) = rest.split_at(length);
            assert_eq!(sum, crc32c::crc32c(message).to_be_bytes());
            all.push(ChunkedReadResponse::decode(message).unwrap());
            bytes = rest;
        }
        all
    }

    fn series(name: &str, samples: usize) -> RawSeries {
        let point = |at: usize| {
            let random = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            Point { time_ms: at as i64 * 15_000, sample: Sample::Float(f64::from_bits(random >> 2)) }
        };
        RawSeries { labels: Labels::new([("__name__", name)]), points: (0..samples).map(point).collect() }
    }

    #[test]
    fn all_samples_arrive_in_frames_of_bounded_size() {
        let results = vec![vec![series("a", 250), series("none", 0)], vec![], vec![series("b", 200_000)]];
        let wanted = results.clone();
        let bytes: Vec<_> = frames(results).collect();
        assert!(bytes.iter().all(|frame| frame.len() < FRAME_BYTES + 4_096));
        let frames = decode(&bytes.concat());
        assert!(frames.len() >= 3, "{}", frames.len());
        let counts: Vec<_> = frames[0].series[0].chunks.iter().map(|chunk| chunk.data[1]).collect();
        assert_eq!(counts, [120, 120, 10]);
        for (index, name) in [(0, "a"), (2, "b")] {
            let of_query = frames.iter().filter(|frame| frame.query_index == index);
            let chunks = of_query.flat_map(|frame| {
                assert_eq!(frame.series[0].labels[0].value, name);
                &frame.series[0].chunks
            });
            let samples: Vec<_> = chunks.flat_map(|chunk| xor::tests::decode(&chunk.data)).collect();
            let points = &wanted[index as usize][0].points;
            assert_eq!(samples.len(), points.len());
            assert!(samples.iter().zip(points).all(|(sample, point)| {
                sample.0 == point.time_ms && Sample::Float(sample.1) == point.sample
            }));
        }
    }
}
