//! The files of a commit: all are checked before the first is published, several at once.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};
use landfall_core::port::{Bucket, Clock, Destinations, ObjectStore, Queue};
use landfall_core::standing::Attempts;

use crate::commit::{Committing, Work, at_client};
use crate::error::CommitError;
use crate::publish::Publisher;
use crate::validate::{Invalid, validate_file};

/// How many files are validated, or published, at once.
const FILES_IN_FLIGHT: usize = 8;

impl<S: ObjectStore, Q: Queue, D: Destinations, C: Clock + ?Sized> Committing<'_, S, Q, D, C> {
    /// Checks every file of which nothing is out, before the first one is published.
    ///
    /// # Errors
    /// [`CommitError::NotAsStaged`] when one differs from its outcome, [`CommitError::Vanished`] when one is gone.
    pub(crate) async fn validate<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        store: &T,
        bucket: &Bucket,
    ) -> Result<(), CommitError> {
        let checks = (0..work.files.len()).map(|index| self.validate_one(work, store, bucket, index));
        futures::stream::iter(checks).buffer_unordered(FILES_IN_FLIGHT).try_collect().await
    }

    async fn validate_one<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        store: &T,
        bucket: &Bucket,
        index: usize,
    ) -> Result<(), CommitError> {
        let Some(file) = work.files.get(index).map(|file| &file.entry) else { return Ok(()) };
        // What is out, or may be, had been checked, and its temp may rightly be gone.
        if !Attempts::of(&work.records, file.index).is_open() {
            return Ok(());
        }
        self.in_time(work)?;
        let invalid = match validate_file(store, bucket, file, &work.pin).await {
            Ok(()) => return Ok(()),
            Err(Invalid::Port(source)) => return Err(at_client(work, source)),
            Err(invalid) => invalid,
        };
        let (delivery, n) = (work.delivery.id.clone(), work.intent.n);
        // Messages come twice: another worker may have published the file meanwhile, and removed its temp.
        if !Attempts::of(&self.ledger.records(&delivery, n).await?, file.index).is_open() {
            let reason = format!("another worker is at {}", file.key);
            return Err(CommitError::NotYet { delivery, n, seconds: 5, reason });
        }
        let key = file.temp_key.clone();
        Err(match invalid {
            Invalid::Gone => CommitError::Vanished { delivery, n, key },
            problem => CommitError::NotAsStaged { delivery, n, key, problem: problem.to_string() },
        })
    }

    /// Publishes all files, several at once. After a failure no further one is begun, and those under way come to their
    /// end: a copy that is dropped would be of unknown effect.
    ///
    /// # Errors
    /// See [`Publisher::publish`].
    pub(crate) async fn publish<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        publisher: &Publisher<'_, S, T>,
    ) -> Result<(), CommitError> {
        let failed = AtomicBool::new(false);
        let files = (0..work.files.len()).map(|index| self.publish_one(work, publisher, index, &failed));
        let ended: Vec<Result<(), CommitError>> =
            futures::stream::iter(files).buffer_unordered(FILES_IN_FLIGHT).collect().await;
        ended.into_iter().collect()
    }

    async fn publish_one<T: ObjectStore>(
        &self,
        work: &Work<'_>,
        publisher: &Publisher<'_, S, T>,
        index: usize,
        failed: &AtomicBool,
    ) -> Result<(), CommitError> {
        let Some(file) = work.files.get(index) else { return Ok(()) };
        if failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let begun = self.in_time(work);
        let published = match begun {
            Ok(()) => publisher.publish(file, &work.records, self.clock.now()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = published {
            failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
        // The file is where it belongs; a temp that stays is removed before the intent is closed, or by the lifecycle rule.
        let temp = &file.entry;
        if let Err(error) = publisher.store.delete(publisher.bucket, &temp.temp_key, &temp.etag).await {
            tracing::warn!(%error, key = temp.temp_key, "temp not deleted, the lifecycle rule will");
        }
        Ok(())
    }
}
