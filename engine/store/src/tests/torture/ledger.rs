//! What was sent and what was acknowledged, and whether a store has just that.

use std::collections::BTreeSet;

use crate::tests::rewrites::try_rows_of_view;
use crate::tests::*;

/// The tenant whose rows are removed when they are old.
pub(super) const MORTAL: &str = "mortal";

/// All tenants.
pub(super) const TENANTS: [&str; 2] = ["a", MORTAL];

/// Rows as texts.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeSet<(&'static str, String)>,
    acknowledged: BTreeSet<(&'static str, String)>,
}

impl Ledger {
    /// These may be there from now on.
    pub(super) fn send(&mut self, tenant: &'static str, rows: &[String]) {
        self.sent.extend(rows.iter().map(|row| (tenant, row.clone())));
    }

    /// These must be there from now on.
    pub(super) fn acknowledge(&mut self, tenant: &'static str, rows: &[String]) {
        self.acknowledged.extend(rows.iter().map(|row| (tenant, row.clone())));
    }

    /// All rows of a tenant must be gone from now on.
    pub(super) fn forget(&mut self, tenant: &'static str) {
        self.sent.retain(|(of, _)| *of != tenant);
        self.acknowledged.retain(|(of, _)| *of != tenant);
    }

    /// Whether all of these must be there.
    pub(super) fn promises(&self, tenant: &'static str, rows: &[String]) -> bool {
        rows.iter().all(|row| self.acknowledged.contains(&(tenant, row.clone())))
    }

    /// How many rows must be there.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Says what is lost, what is there twice, and what came from nowhere.
    pub(super) async fn audit(&self, store: &Store) -> Result<(), String> {
        for tenant in TENANTS {
            self.audit_tenant(store, tenant).await.map_err(|what| format!("tenant {tenant}: {what}"))?;
        }
        Ok(())
    }

    async fn audit_tenant(&self, store: &Store, name: &'static str) -> Result<(), String> {
        let view = store.view(&tenant(name)).await.map_err(|error| format!("no view: {error}"))?;
        let mut rows = Vec::new();
        for kind in [Kind::Logs, Kind::Samples, Kind::Spans] {
            let found = try_rows_of_view(&view, kind).await.map_err(|error| format!("no rows: {error}"))?;
            if kind == Kind::Samples {
                audit_series(&view, &found)?;
            }
            rows.extend(found);
        }
        let count = rows.len();
        let seen: BTreeSet<String> = rows.into_iter().collect();
        if seen.len() < count {
            return Err(format!("{} rows are doubled", count - seen.len()));
        }
        let of = |rows: &BTreeSet<(&'static str, String)>| -> BTreeSet<String> {
            rows.iter().filter(|(tenant, _)| *tenant == name).map(|(_, row)| row.clone()).collect()
        };
        if let Some(row) = of(&self.acknowledged).difference(&seen).next().filter(|_| name != MORTAL) {
            return Err(format!("{row} is lost"));
        }
        match seen.difference(&of(&self.sent)).next() {
            Some(row) => Err(format!("{row} came from nowhere")),
            None => Ok(()),
        }
    }
}

/// Whether the labels of each sample are there.
fn audit_series(view: &View, samples: &[String]) -> Result<(), String> {
    let series: BTreeSet<i64> = view.series().of_metric("up").iter().map(|series| series.series_id).collect();
    let id = |sample: &String| sample.split('@').next().and_then(|id| id.parse().ok());
    let orphan = samples.iter().find(|sample| !id(sample).is_some_and(|id: i64| series.contains(&id)));
    orphan.map_or(Ok(()), |sample| Err(format!("the series of {sample} is lost")))
}
