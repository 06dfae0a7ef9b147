//! The pieces of a running server, over HTTP.

use anyhow::{Context as _, anyhow, bail};
use isinglass_store::backup::{Decoder, Have, Piece};
use reqwest::{Response, Url};

/// A server takes no larger body. A longer list is not sent, and everything is copied.
const LIST_BYTES_MAX: usize = 60 << 20;

/// A backup on its way.
pub(super) struct Stream {
    response: Response,
    decoder: Decoder,
}

/// Asks a server for a backup without what the destination has.
pub(super) async fn begin(server: &Url, have: &Have) -> anyhow::Result<Stream> {
    let mut list = have.encode();
    if list.len() > LIST_BYTES_MAX {
        list.clear();
    }
    let url = server.join("/api/admin/backup").context("--url is no base URL")?;
    let sent = reqwest::Client::builder().build()?.post(url).body(list).send().await;
    let response = sent.with_context(|| format!("cannot ask the server at {server}; is it running?"))?;
    let status = response.status();
    if !status.is_success() {
        let text = response.text().await.unwrap_or_default();
        let said = serde_json::from_str::<serde_json::Value>(&text).ok();
        let said = said.and_then(|body| Some(body.get("error")?.get("message")?.as_str()?.to_owned()));
        bail!("the server answered {status}: {}", said.unwrap_or(text));
    }
    Ok(Stream { response, decoder: Decoder::default() })
}

/// The next piece. A stream that ends before the last one was cut off.
pub(super) async fn next(stream: &mut Stream) -> anyhow::Result<Piece> {
    loop {
        if let Some(piece) = stream.decoder.next()? {
            return Ok(piece);
        }
        let chunk = stream.response.chunk().await.context("the server broke the backup off")?;
        let chunk = chunk.ok_or_else(|| anyhow!("the server ended before the backup was whole"))?;
        stream.decoder.push(&chunk);
    }
}
