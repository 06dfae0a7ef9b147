//! Results of rules into the log.

use async_trait::async_trait;
use isinglass_decode::{Compression, Format, Protocol};
use isinglass_ingest::{Ingest, Request};
use isinglass_model::Tenant;
use isinglass_rules::{RuleError, RuleSample, Write};

use super::message;

/// Writes through the one write path: plugins see what rules make, and it is in the log before a
/// rule counts as evaluated.
pub(super) struct IngestWrite(pub(super) Ingest);

#[async_trait]
impl Write for IngestWrite {
    async fn samples(&self, tenant: &Tenant, samples: Vec<RuleSample>) -> Result<(), RuleError> {
        let request = Request {
            tenant: tenant.clone(),
            protocol: Protocol::RemoteWrite2,
            format: Format::Protobuf,
            compression: Compression::None,
            body: message::encode(&samples).into(),
            batch_key: None,
        };
        drop(samples);
        match self.0.push(request).await {
            Ok(outcome) if outcome.faults.is_empty() => Ok(()),
            Ok(outcome) => Err(RuleError::Refused(format!("samples were refused: {}", outcome.fault_text()))),
            Err(error) => Err(RuleError::Write(error.to_string())),
        }
    }
}
