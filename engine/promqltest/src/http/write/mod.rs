//! Series as requests of remote write.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>,
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>

mod messages;
mod split;
mod v1;
mod v2;

use crate::backend::LoadedSeries;

/// A request holds so many samples at most.
pub const SAMPLES_MAX: usize = 5_000;

/// Versions of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// 1.0: no start timestamps.
    V1,
    /// 2.0: texts once for each request, start timestamps.
    V2,
}

/// A request to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Its version.
    pub protocol: Protocol,
    /// A protobuf message in a snappy block.
    pub body: Vec<u8>,
}

/// All samples, those of earlier requests before those of later ones, since stores may refuse what
/// is older than what they have.
///
/// # Errors
///
/// A request that is too large for snappy, in words.
pub fn requests(series: &[LoadedSeries], protocol: Protocol) -> Result<Vec<Encoded>, String> {
    split::in_time_order(series, SAMPLES_MAX).iter().map(|part| encode(part, protocol)).collect()
}

fn encode(part: &[LoadedSeries], protocol: Protocol) -> Result<Encoded, String> {
    let message = match protocol {
        Protocol::V1 => v1::message(part),
        Protocol::V2 => v2::message(part),
    };
    let body = snap::raw::Encoder::new().compress_vec(&message).map_err(|fault| fault.to_string())?;
    Ok(Encoded { protocol, body })
}
