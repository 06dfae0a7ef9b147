//! The two engines that are compared.

use std::path::Path;

use isinglass_promql::Options;
use isinglass_promqltest::fuzz::differ::{Difference, difference};
use isinglass_promqltest::fuzz::query::Query;
use isinglass_promqltest::http::Client;
use isinglass_promqltest::http::write::{Protocol, requests};
use isinglass_promqltest::memory::MemoryBackend;
use isinglass_promqltest::{Answer, Backend, LoadedSeries};

use crate::prometheus::Prometheus;

/// Prometheus, with the engine in memory or a server of ours, all with the same series.
pub(crate) struct Sides {
    reference: Client,
    ours: Ours,
    _process: Prometheus,
}

enum Ours {
    Memory(Box<MemoryBackend>),
    Server(Client),
}

impl Sides {
    /// Starts a Prometheus, and loads series into it and into ours: a server of a new tenant where
    /// there is one.
    pub(crate) async fn with(
        series: &[LoadedSeries],
        binary: &Path,
        server: Option<(&str, &str)>,
    ) -> Result<Self, String> {
        let process = Prometheus::start(binary)?;
        process.ready().await?;
        let reference = Client::new(&*process.base);
        load(&reference, series).await.map_err(|fault| format!("Prometheus: {fault}"))?;
        let ours = match server {
            Some((base, tenant)) => {
                let mut client = Client::new(base);
                client.set_tenant(tenant);
                load(&client, series).await?;
                Ours::Server(client)
            }
            None => {
                let mut memory = MemoryBackend::new(Options { parts: 2, ..Options::default() });
                memory.load(series)?;
                Ours::Memory(Box::new(memory))
            }
        };
        Ok(Self { reference, ours, _process: process })
    }

    /// What both say: the reference first.
    pub(crate) async fn ask(&mut self, query: &Query) -> (Answer, Answer) {
        let reference = ask_server(&self.reference, query).await;
        let ours = match &mut self.ours {
            Ours::Server(client) => ask_server(client, query).await,
            Ours::Memory(memory) => {
                memory.options_mut().lookback_ms =
                    query.lookback_ms.unwrap_or(Options::default().lookback_ms);
                query.ask(&mut **memory)
            }
        };
        (reference, ours)
    }

    pub(crate) async fn difference(&mut self, query: &Query) -> (Option<Difference>, Answer, Answer) {
        let (reference, ours) = self.ask(query).await;
        (difference(&query.text, &reference, &ours), reference, ours)
    }
}

async fn load(client: &Client, series: &[LoadedSeries]) -> Result<(), String> {
    for request in requests(series, Protocol::V2)? {
        client.write(&request).await?;
    }
    Ok(())
}

async fn ask_server(client: &Client, query: &Query) -> Answer {
    let mut client = client.clone();
    client.set_lookback_ms(query.lookback_ms);
    match query.is_instant() {
        true => client.instant(&query.text, query.window.start_ms).await,
        false => client.range(&query.text, query.window).await,
    }
}
