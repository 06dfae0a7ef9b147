//! `isinglass demo`: a ride service that sends real telemetry.
//!
//! Six services in one process, each with a resource and providers of its own,
//! send through the stock OpenTelemetry exporters over the network:
//!
//! ```text
//! frontend ──▶ customer ──▶ mysql
//!     │
//!     ├──────▶ driver ────▶ redis    (some lookups time out and are tried again)
//!     └──────▶ route × 10            (three workers; the others wait)
//! ```
//!
//! | file | holds |
//! |---|---|
//! | [`telemetry`] | the three providers of one service, over gRPC or HTTP |
//! | [`service`] | calls between services: spans, propagation, metrics, logs |
//! | [`rides`] | what the services do |
//! | [`server`] | the questions that the demo asks the server |
//! | [`screen`] | what is printed |

mod rides;
mod screen;
mod server;
mod service;
mod telemetry;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Url;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::end::end;
use rides::Rides;
use server::Server;

/// Rides on their way at the same time; beyond that new customers have to wait.
const RIDES_MAX: usize = 200;

/// Where to send to and for how long.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// OTLP over gRPC, `http://127.0.0.1:4317`.
    pub grpc: Url,
    /// OTLP over HTTP, `http://127.0.0.1:4318`.
    pub http: Url,
    /// Everything else, `http://127.0.0.1:4319`.
    pub sql: Url,
    /// End after this time; `None` = at ctrl-c.
    pub for_: Option<Duration>,
    /// Rides ordered per second.
    pub rides_per_second: f64,
    /// Questions to print at the start and to answer at the end.
    pub questions: Vec<Question>,
}

/// A question in SQL.
#[derive(Debug, Clone)]
pub struct Question {
    /// What it asks, in words.
    pub title: String,
    /// The statement.
    pub sql: String,
}

/// Runs the demo against a server that is ready.
pub async fn run(options: DemoOptions) -> anyhow::Result<()> {
    let mut out = io::stdout();
    screen::start(&mut out, &options)?;
    let rides = Arc::new(Rides::start(&options.grpc, &options.http).context("start the ride service")?);
    order(&rides, &options).await?;
    rides.shut_down().await.context("send what the services still hold")?;
    let server = Server::new(options.sql.clone());
    server.flush().await?;
    screen::end(&mut out, &server, &options.questions).await
}

/// Orders rides at the asked rate until the time is up or a signal comes, then
/// waits for those on their way.
async fn order(rides: &Arc<Rides>, options: &DemoOptions) -> io::Result<()> {
    let period = Duration::from_secs_f64(1.0 / options.rides_per_second.clamp(0.1, 1_000.0));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut end = std::pin::pin!(end(options.for_)?);
    let mut on_their_way = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            Some(_) = on_their_way.join_next() => {}
            _ = ticks.tick(), if on_their_way.len() < RIDES_MAX => {
                let rides = Arc::clone(rides);
                on_their_way.spawn(async move { rides.order().await });
            }
        }
    }
    while on_their_way.join_next().await.is_some() {}
    Ok(())
}
