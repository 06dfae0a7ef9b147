//! The body of `POST /api/v2/alerts`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::queue::Queued;
use crate::template::time::rfc3339;
use crate::view;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    annotations: BTreeMap<&'a str, &'a str>,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    labels: BTreeMap<String, String>,
}

/// Alerts as a JSON array.
pub(super) fn body(batch: &[Queued]) -> Result<Vec<u8>, serde_json::Error> {
    let alert = |queued: &'_ Queued| {
        let alert = &*queued.alert;
        serde_json::to_value(Alert {
            annotations: alert.annotations.iter().map(|(name, text)| (&**name, &**text)).collect(),
            ends_at: rfc3339(alert.ends_at),
            starts_at: rfc3339(alert.starts_at),
            generator_url: &alert.generator_url,
            labels: view::map(&alert.labels),
        })
    };
    serde_json::to_vec(&batch.iter().map(alert).collect::<Result<Vec<_>, _>>()?)
}
