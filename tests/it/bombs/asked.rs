//! What can be asked: a statement of SQL, or an expression of PromQL.

use reqwest::Url;

use super::cases::Said;
use crate::harness::{Answer, Client, now_millis};

/// A question.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Sql {
        sql: String,
    },
    Promql {
        promql: String,
        /// How many seconds before now a range begins, and its step; without, now is asked for.
        range: Option<(u64, f64)>,
    },
}

impl Asked {
    pub(super) fn sql(sql: &str) -> Self {
        Self::Sql { sql: sql.to_owned() }
    }

    pub(super) fn promql(promql: &str) -> Self {
        Self::Promql { promql: promql.to_owned(), range: None }
    }

    pub(super) async fn ask(&self, client: &Client) -> Answer {
        match self {
            Self::Sql { sql } => client.ask(sql).await,
            Self::Promql { promql, range: None } => form(client, "query", &[("query", promql)]).await,
            Self::Promql { promql, range: Some((seconds, step)) } => {
                let end = now_millis() as f64 / 1e3;
                let [start, end, step] = [end - *seconds as f64, end, *step].map(|number| number.to_string());
                let parameters =
                    [("query", promql.as_str()), ("start", &start), ("end", &end), ("step", &step)];
                form(client, "query_range", &parameters).await
            }
        }
    }

    /// The rows, or the status and message of the error.
    pub(super) fn said(answer: &Answer) -> Said {
        let error = &answer.json()["error"];
        match error["message"].as_str().or(error.as_str()) {
            Some(message) => Err((answer.status, message.to_owned())),
            None => Ok(answer.text()),
        }
    }
}

/// As Grafana asks: a form, in which there is room for a long expression.
async fn form(client: &Client, path: &str, parameters: &[(&str, &str)]) -> Answer {
    let url = Url::parse_with_params("http://form", parameters).unwrap();
    let body = url.query().unwrap_or_default().as_bytes().to_vec();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    client.post(&format!("api/v1/{path}"), &headers, body).await
}
