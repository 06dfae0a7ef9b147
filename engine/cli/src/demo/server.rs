//! The questions that the demo asks the server, over its public interface.

use anyhow::{Context, bail};
use reqwest::{Client, Response, Url};

/// The HTTP side of a running server.
#[derive(Debug, Clone)]
pub(super) struct Server {
    client: Client,
    base: Url,
}

/// Items of one signal by fate.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) received: f64,
    pub(super) stored: f64,
    pub(super) rejected: f64,
}

impl Server {
    pub(super) fn new(base: Url) -> Self {
        Self { client: Client::new(), base }
    }

    /// Everything received so far is in committed tables afterwards.
    pub(super) async fn flush(&self) -> anyhow::Result<()> {
        let answer = self.client.post(self.base.join("api/admin/flush")?).send().await;
        checked(answer.context("flush the server")?).await.map(drop)
    }

    /// The counters of `/metrics`.
    pub(super) async fn metrics(&self) -> anyhow::Result<String> {
        let answer = self.client.get(self.base.join("metrics")?).send().await.context("read the counters")?;
        checked(answer).await
    }

    /// The first rows of an answer, drawn.
    pub(super) async fn sql(&self, query: &str, rows_max: usize) -> anyhow::Result<String> {
        crate::sql::drawn(&self.base, query, rows_max).await
    }
}

async fn checked(answer: Response) -> anyhow::Result<String> {
    let status = answer.status();
    let text = answer.text().await?;
    if !status.is_success() {
        bail!("the server answers {status}: {text:.1000}");
    }
    Ok(text)
}

/// Adds up the lines of one counter whose labels contain `label`.
pub(super) fn counter(metrics: &str, name: &str, label: &str) -> f64 {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
    values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
}

/// What became of the items of a signal.
pub(super) fn flow(metrics: &str, signal: &str) -> Flow {
    let label = format!("signal=\"{signal}\"");
    Flow {
        received: counter(metrics, "isinglass_received_items_total", &label),
        stored: counter(metrics, "isinglass_stored_items_total", &label),
        rejected: counter(metrics, "isinglass_rejected_items_total", &label),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up_by_label() {
        let metrics = "# HELP isinglass_received_items_total x\n\
            isinglass_received_items_total{tenant=\"a\",signal=\"logs\"} 3\n\
            isinglass_received_items_total{tenant=\"b\",signal=\"logs\"} 4\n\
            isinglass_received_items_total{tenant=\"b\",signal=\"traces\"} 5\n\
            isinglass_received_items_total_more{signal=\"logs\"} 100\n\
            isinglass_derived_samples_total 7\n";
        let logs = Flow { received: 7.0, stored: 0.0, rejected: 0.0 };
        assert_eq!(flow(metrics, "logs"), logs);
        assert_eq!(counter(metrics, "isinglass_derived_samples_total", ""), 7.0);
    }
}
