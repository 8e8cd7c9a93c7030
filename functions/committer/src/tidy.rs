//! What a commit removes: the inputs that were delivered, and what executions left below the hidden prefix.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use landfall_core::error::PortError;
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::list_all;
use landfall_core::port::{Bucket, Clock, DeleteOutcome, Destinations, ObjectStore, Queue};
use landfall_core::record::Verdict;

use crate::commit::{Committing, Work, out_of_time};
use crate::error::CommitError;

/// How many inputs, or leftovers, are deleted at once.
const DELETES_IN_FLIGHT: usize = 32;
/// Seconds that must be left to delete another object.
const DELETE_MARGIN_SECONDS: u32 = 10;

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized> Committing<'_, S, Q, D, C> {
    /// Deletes the consumed inputs, each only if it is still the one that was read; how many were deleted, and how many
    /// had been overwritten.
    ///
    /// # Errors
    /// When the staging bucket fails, or the time does not suffice.
    pub(crate) async fn delete_inputs(&self, work: &Work<'_>) -> Result<(u64, u64), CommitError> {
        let used = work.outcome.used(&work.intent);
        let mut read: Vec<(String, String)> =
            used.map(|input| (input.key.clone(), input.etag.clone())).collect();
        let begun = |name: &RecordName| matches!(name, RecordName::Receipt(_) | RecordName::Discarded);
        if work.records.iter().any(begun) {
            // An earlier try came this far: what it deleted is not asked for again, or a large intent never ends.
            let listed = self.still_listed(&read).await?;
            read.retain(|(key, _)| listed.contains(key));
        }
        let deletes = read.into_iter().map(|(key, etag)| self.delete_input(key, etag));
        let outcomes: Vec<Option<DeleteOutcome>> =
            futures::stream::iter(deletes).buffer_unordered(DELETES_IN_FLIGHT).try_collect().await?;
        if outcomes.contains(&None) {
            return Err(out_of_time(work, "too little time is left to delete the rest of the inputs"));
        }
        let count = |wanted: DeleteOutcome| {
            outcomes.iter().filter(|outcome| **outcome == Some(wanted)).count() as u64
        };
        Ok((count(DeleteOutcome::Deleted), count(DeleteOutcome::Changed)))
    }

    /// Deletes one input; `None` when there is no time for it.
    async fn delete_input(&self, key: String, etag: String) -> Result<Option<DeleteOutcome>, PortError> {
        if !self.deadline.has_time_for(DELETE_MARGIN_SECONDS) {
            return Ok(None);
        }
        self.ledger.store().delete(&self.config.staging, &key, &etag).await.map(Some)
    }

    /// The keys among these that are still listed: below what they have in common, which is not the source prefix any more
    /// when the document has changed since.
    async fn still_listed(&self, inputs: &[(String, String)]) -> Result<BTreeSet<String>, PortError> {
        let prefix = common_prefix(inputs.iter().map(|(key, _)| key.as_str()));
        let wanted: BTreeSet<&str> = inputs.iter().map(|(key, _)| key.as_str()).collect();
        let mut listed = BTreeSet::new();
        let mut page: Option<String> = None;
        loop {
            let found = self.ledger.store().list(&self.config.staging, prefix, None, page.as_deref()).await?;
            let keys = found.objects.into_iter().map(|object| object.key);
            listed.extend(keys.filter(|key| wanted.contains(key.as_str())));
            page = found.next;
            if page.is_none() {
                return Ok(listed);
            }
        }
    }

    /// Removes what executions that lost or failed left of this intent: staged files, and uploads that nobody will
    /// complete. Best effort: the bucket's lifecycle removes what stays.
    pub(crate) async fn remove_leftovers(&self, work: &Work<'_>) {
        // Who staged nothing left nothing, but for a crash that is the lifecycle's to mend.
        let given_up = work.standing.discarded || work.outcome.verdicts.contains(&Verdict::Discarded);
        if (work.outcome.files.is_empty() && !given_up) || !self.deadline.has_time_for(DELETE_MARGIN_SECONDS)
        {
            return;
        }
        let (client, bucket) = match self.open(work).await {
            Ok(opened) => opened,
            Err(error) => return left(&error),
        };
        let prefix = keys::temps_of_intent(&work.pin.temp_prefix, work.intent.n);
        match list_all(&client.store, &bucket, &prefix, None).await {
            Ok(temps) => {
                let deletes = (0..temps.len()).map(|index| {
                    let temp = temps.get(index);
                    let (store, bucket) = (&client.store, &bucket);
                    async move {
                        if let Some(temp) = temp
                            && self.deadline.has_time_for(DELETE_MARGIN_SECONDS)
                            && let Err(error) = store.delete(bucket, &temp.key, &temp.etag).await
                        {
                            left(&error);
                        }
                    }
                });
                futures::stream::iter(deletes).buffer_unordered(DELETES_IN_FLIGHT).collect::<()>().await;
            }
            Err(error) => left(&error),
        }
        self.abort_uploads(&client.store, &bucket, &prefix).await;
    }

    /// Aborts the uploads below a prefix, page by page: what is aborted is not in the next page. Ends when one stays, which
    /// would be all that further pages show, or when there is no time.
    async fn abort_uploads<T: ObjectStore>(&self, store: &T, bucket: &Bucket, prefix: &str) {
        let mut aborted: BTreeSet<String> = BTreeSet::new();
        loop {
            let uploads = match store.list_uploads(bucket, prefix).await {
                Ok(uploads) => uploads,
                Err(error) => return left(&error),
            };
            let mut stays = uploads.is_empty();
            for upload in uploads {
                if !self.deadline.has_time_for(DELETE_MARGIN_SECONDS) {
                    return;
                }
                if let Err(error) = store.abort_upload(bucket, &upload).await {
                    left(&error);
                    stays = true;
                }
                // A part that was under way can outlive the abortion.
                stays |= !aborted.insert(upload.id);
            }
            if stays {
                return;
            }
        }
    }
}

/// The longest text that all these keys begin with, up to a slash.
fn common_prefix<'k>(mut keys: impl Iterator<Item = &'k str>) -> &'k str {
    let first = keys.next().unwrap_or_default();
    let shared = keys.fold(first, |shared, key| {
        let same = shared.char_indices().zip(key.chars()).find(|((_, left), right)| left != right);
        let end = same.map_or(shared.len().min(key.len()), |((at, _), _)| at);
        shared.get(..end).unwrap_or_default()
    });
    shared.rsplit_once('/').and_then(|(folder, _)| shared.get(..=folder.len())).unwrap_or_default()
}

fn left(error: &(impl std::fmt::Display + ?Sized)) {
    tracing::warn!(%error, "leftovers not removed, the lifecycle rule will");
}

#[cfg(test)]
mod tests {
    use super::common_prefix;

    #[test]
    fn what_keys_have_in_common_ends_with_a_slash() {
        assert_eq!(common_prefix(["a/b/c1", "a/b/c2"].into_iter()), "a/b/");
        assert_eq!(common_prefix(["a/b/c"].into_iter()), "a/b/");
        assert_eq!(common_prefix(["a/b", "a/b/c"].into_iter()), "a/");
        assert_eq!(common_prefix(["ä/ö", "ä/ü"].into_iter()), "ä/");
        assert_eq!(common_prefix(["a", "b"].into_iter()), "");
        assert_eq!(common_prefix(std::iter::empty()), "");
    }
}
