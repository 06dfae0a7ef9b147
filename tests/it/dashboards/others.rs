//! What others write: `others.test`, as if it had happened just now.

use isinglass_promqltest::http::Client;
use isinglass_promqltest::http::write::{Protocol, requests};
use isinglass_promqltest::script::{CommandKind, Script};

use crate::harness::now_millis;

/// Writes it so that it goes on a little longer than the test: a rate looks at the last seconds.
const AHEAD_MS: i64 = 60_000;

pub(super) async fn write(server: &str) {
    let script = Script::parse("others.test", include_str!("others.test")).unwrap();
    let loads = script.commands.into_iter().filter_map(|command| match command.kind {
        CommandKind::Load(series) => Some(series),
        _ => None,
    });
    let mut series: Vec<_> = loads.flatten().collect();
    let points = series.iter_mut().flat_map(|series| &mut series.points);
    let mut points: Vec<_> = points.collect();
    let last_ms = points.iter().map(|point| point.time_ms).max().unwrap();
    let shift_ms = now_millis() + AHEAD_MS - last_ms;
    points.iter_mut().for_each(|point| point.time_ms += shift_ms);
    let client = Client::new(server);
    for request in requests(&series, Protocol::V1).unwrap() {
        client.write(&request).await.unwrap();
    }
}
