//! A label set is judged once: the verdict stays with the series for as long as
//! the validators are the same.

use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::batch::SeriesBatch;
use isinglass_model::columns::Shape;
use isinglass_model::series::{Judgement, Refusal, SeriesRef};
use isinglass_model::verdict::Verdicts;
use isinglass_store::Resolver;

/// Series of this request that must not be stored.
pub(crate) type RefusedSeries = HashMap<SeriesRef, Arc<Refusal>, ahash::RandomState>;

/// Shows the label sets of `unjudged` to the validators, tells the series index
/// what they said and gives back those that were refused.
pub(crate) fn judge(
    chain: &Chain,
    tenant: &Tenant,
    resolver: &mut Resolver,
    mut unjudged: Vec<SeriesRef>,
    now_unix_nanos: i64,
) -> RefusedSeries {
    if unjudged.is_empty() {
        return RefusedSeries::default();
    }
    unjudged.sort_unstable();
    unjudged.dedup();
    let (series, labels): (Vec<_>, Vec<_>) = unjudged
        .into_iter()
        .filter_map(|series| resolver.labels_of(series).map(|labels| (series, labels)))
        .unzip();
    let batch = SeriesBatch { labels };
    let verdicts = chain.validate(tenant, &batch, now_unix_nanos);
    debug_assert_eq!(isinglass_model::columns::Columns::shape(&batch), Shape::Series);
    let judgements = judgements(&series, &verdicts);
    // A plugin that failed has not judged: the series is shown again next time.
    if verdicts.plugin_errors == 0 {
        resolver.judge(&judgements, chain.validators_digest());
    }
    judgements
        .into_iter()
        .filter_map(|(series, judgement)| match judgement {
            Judgement::Reject(refusal) => Some((series, refusal)),
            Judgement::Keep | Judgement::Pending => None,
        })
        .collect()
}

fn judgements(series: &[SeriesRef], verdicts: &Verdicts) -> Vec<(SeriesRef, Judgement)> {
    let refusals: Vec<Arc<Refusal>> = verdicts
        .refusals
        .iter()
        .map(|refusal| {
            Arc::new(Refusal {
                reason: refusal.reason.clone(),
                message: refusal.message.clone(),
                plugin: refusal.plugin.clone(),
                digest: refusal.digest.clone(),
                rule: refusal.rule.clone(),
            })
        })
        .collect();
    let judgement = |row: usize| match verdicts.rows.get(row).map(|n| usize::from(*n)) {
        Some(n) if n > 0 => refusals.get(n - 1).map_or(Judgement::Keep, |r| Judgement::Reject(Arc::clone(r))),
        _ => Judgement::Keep,
    };
    series.iter().enumerate().map(|(row, series)| (*series, judgement(row))).collect()
}
