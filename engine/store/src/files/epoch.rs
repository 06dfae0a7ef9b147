//! Who may write to the tables: the writer that came last.
//!
//! Every start claims the next number by creating `_isinglass/epochs/<n>`, which the object
//! store lets only one do. Each commit carries its writer's number as the application
//! transaction `isinglass/epoch`. Before a commit two things are looked at: the number in
//! the very snapshot that the commit builds on, and whether a later number is claimed. A
//! writer that finds one, such as a process that slept through its own replacement, is
//! fenced: it commits nothing and never will.

use std::sync::Arc;

use deltalake_core::kernel::Transaction;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutPayload};

use super::{FilesError, Result};

/// The application transaction of every commit: its version is the writer's number.
pub(in crate::files) const EPOCH_APP_ID: &str = "isinglass/epoch";

/// The folder of what belongs to no tenant; no tenant can have its name.
pub(crate) const OWN_FOLDER: &str = "_isinglass";

/// Claims beyond which a start gives up: as many others start at the same time.
const CLAIMS_MAX: u32 = 1_000;

/// Older claims that stay, for a person to look at.
const CLAIMS_KEPT: u64 = 100;

/// A claimed number.
#[derive(Debug)]
pub(in crate::files) struct Epoch {
    objects: Arc<dyn ObjectStore>,
    number: u64,
}

impl Epoch {
    /// Claims the next number. `who` is written into the claim.
    pub(in crate::files) async fn claim(objects: &Arc<dyn ObjectStore>, who: &str) -> Result<Self> {
        let claimed = claims(objects, None).await?;
        let mut number = claimed.last().map_or(0, |last| *last) + 1;
        for _ in 0..CLAIMS_MAX {
            let claim = PutPayload::from(format!("{who}\n").into_bytes());
            match objects.put_opts(&path_of(number), claim, PutMode::Create.into()).await {
                Ok(_) => {
                    forget(objects, &claimed, number).await;
                    return Ok(Self { objects: Arc::clone(objects), number });
                }
                // Another was first, or a listing did not show it yet.
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                    number += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(FilesError::Fenced { reason: format!("no epoch below {number} is free") })
    }

    /// The claimed number.
    pub(in crate::files) fn number(&self) -> u64 {
        self.number
    }

    /// What a commit of this writer carries.
    pub(in crate::files) fn transaction(&self) -> Transaction {
        Transaction::new(EPOCH_APP_ID, i64::try_from(self.number).unwrap_or(i64::MAX))
    }

    /// Fails if a later writer has started, or has committed to the table whose snapshot
    /// says `in_table`.
    pub(in crate::files) async fn check(&self, in_table: u64) -> Result<()> {
        let later = match in_table {
            later if later > self.number => Some(later),
            _ => claims(&self.objects, Some(self.number)).await?.into_iter().max(),
        };
        let Some(later) = later.filter(|later| *later > self.number) else {
            return Ok(());
        };
        let who = self.who(later).await;
        Err(FilesError::Fenced {
            reason: format!("this process is writer {}, writer {later}{who} has started since", self.number),
        })
    }

    /// What stands in a claim.
    async fn who(&self, number: u64) -> String {
        let Ok(found) = self.objects.get(&path_of(number)).await else {
            return String::new();
        };
        let text = found.bytes().await.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        text.ok().filter(|text| !text.is_empty()).map(|text| format!(" ({text})")).unwrap_or_default()
    }
}

/// The highest claimed number; 0 = there is none.
pub(in crate::files) async fn highest(objects: &Arc<dyn ObjectStore>) -> Result<u64> {
    Ok(claims(objects, None).await?.last().copied().unwrap_or(0))
}

/// Claims a number for nobody, so that the next writer gets a higher one: in restored tables
/// commits of writers up to this one are found.
pub(crate) async fn leave_off_at(objects: &Arc<dyn ObjectStore>, number: u64) -> Result<()> {
    let claim = PutPayload::from_static(b"restored from a backup\n");
    objects.put(&path_of(number), claim).await?;
    Ok(())
}

fn folder() -> Path {
    Path::from_iter([OWN_FOLDER, "epochs"])
}

fn path_of(number: u64) -> Path {
    folder().join(format!("{number:020}"))
}

/// Claimed numbers in order, those after one or all.
async fn claims(objects: &Arc<dyn ObjectStore>, after: Option<u64>) -> Result<Vec<u64>> {
    let prefix = folder();
    let listed = match after {
        Some(after) => objects.list_with_offset(Some(&prefix), &path_of(after)),
        None => objects.list(Some(&prefix)),
    };
    let number = |meta: object_store::ObjectMeta| meta.location.filename()?.parse::<u64>().ok();
    let mut numbers: Vec<u64> = listed.map_ok(number).try_filter_map(async |n| Ok(n)).try_collect().await?;
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes claims that nobody will look at. A failure costs nothing.
async fn forget(objects: &Arc<dyn ObjectStore>, claimed: &[u64], newest: u64) {
    let old = claimed.iter().filter(|number| **number + CLAIMS_KEPT < newest).take(1_000);
    let paths: Vec<_> = old.map(|number| Ok(path_of(*number))).collect();
    let removed = objects.delete_stream(futures::stream::iter(paths).boxed());
    removed.for_each(async |_| ()).await;
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn objects() -> Arc<dyn ObjectStore> {
        Arc::new(InMemory::new())
    }

    #[tokio::test]
    async fn every_start_has_a_number_of_its_own_and_fences_those_before() {
        let objects = objects();
        let first = Epoch::claim(&objects, "process 1").await.unwrap();
        first.check(0).await.unwrap();
        first.check(1).await.unwrap();
        let second = Epoch::claim(&objects, "process 2").await.unwrap();
        assert_eq!((first.number(), second.number()), (1, 2));
        second.check(1).await.unwrap();
        let error = first.check(1).await.unwrap_err();
        assert_eq!(error.to_string(), "this process is writer 1, writer 2 (process 2) has started since");
    }

    #[tokio::test]
    async fn starts_at_the_same_time_get_different_numbers() {
        let objects = objects();
        let claims = (0..20).map(|_| Epoch::claim(&objects, ""));
        let claimed = futures::future::try_join_all(claims).await.unwrap();
        let mut numbers: Vec<u64> = claimed.iter().map(Epoch::number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_later_number_in_the_table_is_enough() {
        let epoch = Epoch::claim(&objects(), "").await.unwrap();
        let error = epoch.check(7).await.unwrap_err();
        assert!(error.to_string().ends_with("writer 7 has started since"), "{error}");
    }

    #[tokio::test]
    async fn old_claims_go_and_the_newest_still_fence() {
        let objects = objects();
        let first = Epoch::claim(&objects, "").await.unwrap();
        for _ in 0..(2 * CLAIMS_KEPT) {
            Epoch::claim(&objects, "").await.unwrap();
        }
        assert_eq!(claims(&objects, None).await.unwrap().len() as u64, CLAIMS_KEPT + 1);
        first.check(0).await.unwrap_err();
    }
}
