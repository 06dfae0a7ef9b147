//! The transformers of a chain: what they change, and what becomes of a request when one fails.

use isinglass_model::Tenant;
use isinglass_model::edits::{Editable, Edits, Spoilt};
use isinglass_model::kind::Signal;
use isinglass_model::reason::{DROPPED, code};
use isinglass_model::verdict::Verdicts;

use crate::abi::{ReasonOut, VerdictsOut};
use crate::chain::{Chain, signal_of};
use crate::columns::Offered;
use crate::config::{OnError, World};
use crate::edits;
use crate::failure::{Failure, shorten};
use crate::plugin::{Caller, Plugin};
use crate::shown::Shown;
use crate::spread::spread;
use crate::verdicts::{self, Author};

/// A request that must not go on, because a transformer failed whose policy is `quarantine`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("transformer {binding} failed ({kind})")]
pub struct Untransformed {
    /// The binding.
    pub binding: String,
    /// How it failed.
    pub kind: &'static str,
}

/// Rows, each part with what was said of it.
type Cuts<T> = Vec<(Shown, T)>;

impl Chain {
    /// Whether a tenant's batches of this signal are shown to a transformer.
    pub fn transforms(&self, tenant: &Tenant, signal: Signal) -> bool {
        self.plugins.iter().any(|plugin| plugin.world == World::Transformer && plugin.takes(tenant, signal))
    }

    /// Shows a batch to the transformers, one after the other, and makes what they answer.
    ///
    /// The verdicts are the rows that must not go on: dropped, made unfit, or not seen by a
    /// transformer that failed and whose policy is `reject`. They are in the batch still, and
    /// later transformers see them. After an error nothing of the batch may go on.
    pub fn transform(
        &self,
        tenant: &Tenant,
        batch: &mut impl Editable,
        now_unix_nanos: i64,
    ) -> Result<Verdicts, Untransformed> {
        let caller = self.caller(tenant, now_unix_nanos);
        let signal = signal_of(batch.shape());
        let mut verdicts = Verdicts::default();
        let transformers =
            self.plugins.iter().filter(|p| p.world == World::Transformer && p.takes(tenant, signal));
        for plugin in transformers {
            if let Err(failure) = apply(plugin, caller, batch, &mut verdicts) {
                plugin.failed(tenant, &failure);
                match plugin.on_error {
                    OnError::Pass => verdicts.plugin_errors += 1,
                    OnError::Reject => {
                        let (rows, shown, author) =
                            (batch.rows(), plugin.shown(tenant, batch), author(plugin));
                        let refused = verdicts::refuse_rest(&mut verdicts, rows, &shown, &author, &failure);
                        plugin.meter.rejected(code::PLUGIN_ERROR, refused);
                        if shown.len() == rows {
                            return Ok(verdicts);
                        }
                    }
                    _ => {
                        plugin.meter.rejected(code::PLUGIN_ERROR, batch.rows() as u64);
                        let (binding, kind) = (plugin.binding.clone(), failure.kind.as_str());
                        return Err(Untransformed { binding, kind });
                    }
                }
            }
        }
        Ok(verdicts)
    }
}

/// Shows a batch to one transformer and makes what it answers; rows that must not go on are merged
/// into the verdicts. After an error both are as they were.
pub(crate) fn apply(
    plugin: &Plugin,
    caller: Caller<'_>,
    batch: &mut dyn Editable,
    verdicts: &mut Verdicts,
) -> Result<(), Failure> {
    let answers = answers(plugin, caller, &mut Offered::new(batch))?;
    let (drops, spoilt) = made(batch, answers)?;
    let (rows, author) = (batch.rows(), author(plugin));
    let mut merge = |cut: &Shown, said: &VerdictsOut| {
        verdicts::merge(verdicts, rows, cut, said, &author, |reason, rows| {
            plugin.meter.rejected(&reason.code, rows);
        });
    };
    drops.iter().for_each(|(cut, drops)| merge(cut, drops));
    spoilt.iter().for_each(|spoilt| merge(&(spoilt.row..spoilt.row + 1).into(), &refusal_of(spoilt)));
    Ok(())
}

fn author(plugin: &Plugin) -> Author<'_> {
    Author::of(plugin)
}

/// What a transformer says of a batch: rows that it drops, and edits. Cuts that it leaves alone
/// are left out.
pub(crate) fn answers(
    plugin: &Plugin,
    caller: Caller<'_>,
    offered: &mut Offered<'_>,
) -> Result<(Cuts<VerdictsOut>, Cuts<Edits>), Failure> {
    let (mut drops, mut all) = (Vec::new(), Vec::new());
    plugin.each_cut(caller.tenant, offered, |cut| {
        let out = plugin.call(caller, |guest, context| guest.transform(context, cut.batch))?;
        let (dropped, edits) = edits::check(out, cut.rows.len())?;
        let dropped = dropped.map(as_drops);
        drops.extend(dropped.map(|dropped| (cut.rows.clone(), dropped)));
        all.extend((!edits.is_empty()).then(|| (cut.rows.clone(), edits)));
        Ok(())
    })?;
    Ok((drops, all))
}

/// Makes the edits, all of them or none.
fn made(
    batch: &mut dyn Editable,
    (drops, edits): (Cuts<VerdictsOut>, Cuts<Edits>),
) -> Result<(Cuts<VerdictsOut>, Vec<Spoilt>), Failure> {
    if edits.is_empty() {
        return Ok((drops, Vec::new()));
    }
    let whole = 0..batch.rows();
    let placed = edits.into_iter().map(|(rows, edits)| match rows.rows() {
        Ok(range) => Ok((range, edits)),
        Err(picked) => spread(edits, picked, &*batch).map(|edits| (whole.clone(), edits)),
    });
    let edits = placed.collect::<Result<Vec<_>, Failure>>()?;
    let spoilt = batch.edit(&edits).map_err(|fault| Failure::contract(shorten(&fault)))?;
    Ok((drops, spoilt))
}

/// What a transformer drops is meant to go, which its reason says.
fn as_drops(mut drops: VerdictsOut) -> VerdictsOut {
    for reason in &mut drops.reasons {
        reason.code.insert_str(0, DROPPED);
    }
    drops
}

fn refusal_of(spoilt: &Spoilt) -> VerdictsOut {
    let reason = ReasonOut { code: spoilt.reason.to_string(), message: spoilt.message.clone() };
    VerdictsOut { rows: vec![1], reasons: vec![reason] }
}
