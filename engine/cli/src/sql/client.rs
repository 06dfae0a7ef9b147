//! The request, and what goes wrong with it.

use std::fmt;
use std::io::Write;

use anyhow::{Context as _, anyhow};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::SchemaRef;
use isinglass_lang::Position;
use reqwest::{Response, Url};
use serde::Deserialize;
use serde_json::json;

/// A server that is asked on behalf of a tenant.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    tenant: Option<String>,
}

/// The first rows of an answer.
pub(super) struct Rows {
    /// Absent when the server sent no schema, that is no answer at all.
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Whether there were more rows than asked for.
    pub more: bool,
}

/// A query that the server did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Refusal {
    message: String,
    help: Option<String>,
    position: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Place {
    line: u64,
    column: u64,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// The message, and the place in the query if the server named one.
    pub(super) fn explain(&self, query: &str) -> String {
        let help = self.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        let Some(place) = self.position else { return format!("error: {}{help}", self.message) };
        let at = Position::at(query, place.line, place.column);
        format!("error at {at}: {}\n\n{}{help}", self.message, at.caret(query))
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Refusal,
}

impl Client {
    pub(super) fn new(server: Url, tenant: Option<String>) -> anyhow::Result<Self> {
        Ok(Self { http: reqwest::Client::builder().build()?, server, tenant })
    }

    /// Copies the answer as it comes.
    pub(super) async fn copy(&self, query: &str, format: &str, out: &mut impl Write) -> anyhow::Result<()> {
        let mut response = self.ask(query, format).await?;
        while let Some(chunk) = response.chunk().await.map_err(broken_off)? {
            out.write_all(&chunk)?;
        }
        Ok(())
    }

    /// Reads rows until there are more than `rows_max`.
    pub(super) async fn rows(&self, query: &str, rows_max: usize) -> anyhow::Result<Rows> {
        let mut response = self.ask(query, "arrow").await?;
        let mut decoder = StreamDecoder::new();
        let (mut batches, mut count) = (Vec::new(), 0);
        while let Some(chunk) = response.chunk().await.map_err(broken_off)? {
            let mut buffer = Buffer::from(chunk.to_vec());
            while let Some(batch) = decoder.decode(&mut buffer).context("the server's rows cannot be read")? {
                let room = rows_max - count;
                count += batch.num_rows().min(room);
                let more = batch.num_rows() > room;
                batches.push(if more { batch.slice(0, room) } else { batch });
                if more {
                    return Ok(Rows { schema: schema(&decoder)?, batches, more });
                }
            }
        }
        let schema = schema(&decoder)?;
        decoder.finish().context("the server's rows end too early")?;
        Ok(Rows { schema, batches, more: false })
    }

    async fn ask(&self, query: &str, format: &str) -> anyhow::Result<Response> {
        let url = self.server.join("/api/sql").context("--server is not a base URL")?;
        let mut request = self.http.post(url).json(&json!({ "query": query, "format": format }));
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        if response.status().is_success() {
            for warning in response.headers().get_all("x-isinglass-warning") {
                writeln!(std::io::stderr(), "warning: {}", warning.to_str().unwrap_or("?"))?;
            }
            return Ok(response);
        }
        Err(refusal(response).await)
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        let hint = if error.is_connect() { "; is it running? `isinglass serve` starts one" } else { "" };
        anyhow!(error).context(format!("cannot ask the server at {}{hint}", self.server))
    }
}

fn schema(decoder: &StreamDecoder) -> anyhow::Result<SchemaRef> {
    decoder.schema().context("the server sent no rows and no columns")
}

fn broken_off(error: reqwest::Error) -> anyhow::Error {
    anyhow!(error).context("the server broke the answer off; what it said last stands in its log")
}

async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    match response.bytes().await {
        Ok(body) => match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => body.error.into(),
            Err(_) => anyhow!("the server answered {status}: {}", String::from_utf8_lossy(&body).trim()),
        },
        Err(error) => anyhow!(error).context(format!("the server answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_points_at_its_place() {
        let body = r#"{"error": {"kind": "malformed", "message": "expected FROM", "position": {"line": 2, "column": 3}}}"#;
        let refusal = serde_json::from_str::<ErrorBody>(body).unwrap().error;
        assert_eq!(
            refusal.explain("select *\n  form logs"),
            "error at line 2, column 3: expected FROM\n\n  form logs\n  ^"
        );
        let help = Some("there is `logs`".to_owned());
        let refusal = Refusal { message: "no such table".into(), help, position: None };
        assert_eq!(refusal.explain("select 1"), "error: no such table\nhelp: there is `logs`");
    }
}
