//! Asking a registry.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Reference, login, manifest};

/// Bytes of a component: what a server takes at most.
const COMPONENT_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a manifest: what the distribution specification asks registries to take.
const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// Bytes of an answer with a token.
const TOKEN_BYTES_MAX: u64 = 64 << 10;
/// How long a registry may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A component from a registry.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) component: Vec<u8>,
    /// `sha256:` and the hash of the component in hex.
    pub(crate) digest: String,
    /// What minisign said of it, where the publisher has annotated the image with that.
    pub(crate) signature: Option<String>,
}

/// Fetches a component. What comes has the digest that was asked for.
pub(crate) async fn pull(reference: &Reference) -> anyhow::Result<Pulled> {
    let failed = || format!("cannot fetch {reference}");
    let client = Client::builder().connect_timeout(SILENCE_MAX).read_timeout(SILENCE_MAX).build()?;
    let mut session = Session { client, reference, authorization: login::of(&reference.registry) };
    session.pull().await.with_context(failed)
}

struct Session<'a> {
    client: Client,
    reference: &'a Reference,
    authorization: Option<String>,
}

impl Session<'_> {
    async fn pull(&mut self) -> anyhow::Result<Pulled> {
        let answer = self.get(&format!("manifests/{}", self.reference.version), manifest::ACCEPT).await?;
        let found = read(answer, MANIFEST_BYTES_MAX).await.context("its manifest")?;
        if let Some(wanted) = self.reference.digest() {
            check(&found, wanted).context("its manifest")?;
        }
        let blob = manifest::component(&found)?;
        if blob.bytes > COMPONENT_BYTES_MAX {
            bail!("the component has {} bytes, the limit is {COMPONENT_BYTES_MAX}", blob.bytes);
        }
        let answer = self.get(&format!("blobs/{}", blob.digest), "*/*").await?;
        let component = read(answer, blob.bytes).await.context("its component")?;
        check(&component, &blob.digest).context("its component")?;
        Ok(Pulled { component, digest: blob.digest, signature: blob.signature })
    }

    /// Asks, and once more with a token if the registry wants one.
    async fn get(&mut self, what: &str, accept: &str) -> anyhow::Result<Response> {
        let url = format!("{}/{what}", self.reference.base());
        let answer = self.ask(&url, accept).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return told(answer);
        }
        let header = answer.headers().get(WWW_AUTHENTICATE).and_then(|header| header.to_str().ok());
        let Some(challenge) = header.and_then(login::challenge) else { return told(answer) };
        self.authorization = Some(self.token(&challenge).await.context("asking for a token")?);
        told(self.ask(&url, accept).await?)
    }

    async fn ask(&self, url: &str, accept: &str) -> anyhow::Result<Response> {
        let mut request = self.client.get(url).header(ACCEPT, accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        Ok(request.send().await?)
    }

    async fn token(&self, challenge: &login::Challenge) -> anyhow::Result<String> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let mut request = self.client.get(&challenge.realm).query(&challenge.query);
        if let Some(login) = login::of(&self.reference.registry) {
            request = request.header(AUTHORIZATION, login);
        }
        let answer = read(told(request.send().await?)?, TOKEN_BYTES_MAX).await?;
        let token: Token = serde_json::from_slice(&answer).context("the answer is not JSON")?;
        let token = token.token.or(token.access_token).context("the answer has no token")?;
        Ok(format!("Bearer {token}"))
    }
}

/// The answer, unless it is an error.
fn told(answer: Response) -> anyhow::Result<Response> {
    match answer.status() {
        status if status.is_success() => Ok(answer),
        StatusCode::NOT_FOUND => bail!("the registry has nothing of this name"),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            bail!("the registry answers {status}; `docker login` or `oras login` lets others in")
        }
        status => bail!("the registry answers {status}"),
    }
}

async fn read(answer: Response, bytes_max: u64) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, mut pieces) = (Vec::new(), answer.bytes_stream());
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > bytes_max {
            bail!("the registry sends more than {bytes_max} bytes");
        }
    }
    Ok(bytes)
}

fn check(bytes: &[u8], wanted: &str) -> anyhow::Result<()> {
    let got =
        Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"));
    if got != wanted {
        bail!("the registry sends {got} for {wanted}");
    }
    Ok(())
}
