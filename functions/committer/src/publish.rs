//! Publication of one file: attempt, conditional copy, published. See docs/semantics.md for the protocol.
//!
//! An `attempt` record stands before every copy, and after it is put the log is asked whether the intent was stopped. An answer that surely had no effect writes `refused`; a success
//! writes `published`, after which the file is never copied again, whatever the destination shows. An attempt
//! with neither is of unknown effect and is judged only when nobody can still be working on it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use landfall_core::delivery::{Capabilities, Delivery};
use landfall_core::error::{Effect, PortError};
use landfall_core::keys::{self, RecordName};
use landfall_core::ledger::{Ledger, PutOnce};
use landfall_core::port::{
    Bucket, CopyOutcome, CopyRequest, Encryption, ObjectAttributes, ObjectHead, ObjectStore,
};
use landfall_core::record::{Attempt, FORMAT, OutcomeFile, Published, Refused};
use landfall_core::standing::{Attempts, Standing as IntentStanding};

use crate::error::CommitError;
use crate::generations::StagedFile;
use crate::validate::{Invalid, checksum, hex};

/// User metadata of a published file: which handing over it belongs to.
pub const DELIVERY_ID: &str = "landfall-delivery-id";
/// User metadata of a published file: CRC-64/NVME of the whole file, 16 hex digits.
pub const CHECKSUM: &str = "landfall-crc64nvme";
/// How long after the function's timeout an attempt can still have an effect.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// What the publication of an intent's files needs.
#[derive(Debug)]
pub(crate) struct Publisher<'a, S, T> {
    /// The log.
    pub ledger: &'a Ledger<S>,
    /// The client's store.
    pub store: &'a T,
    /// The client's bucket.
    pub bucket: &'a Bucket,
    /// The delivery as configured now.
    pub delivery: &'a Delivery,
    /// The intent.
    pub n: u64,
    /// The highest generation of its outcome when the commit began.
    pub generation: u32,
    /// The job id.
    pub job_id: &'a str,
    /// The contract's version.
    pub schema_version: u32,
    /// The media type of the files.
    pub media_type: &'static str,
    /// This invocation.
    pub execution: &'a str,
    /// The committer's timeout, in seconds.
    pub timeout_seconds: u32,
}

impl<S: ObjectStore, T: ObjectStore> Publisher<'_, S, T> {
    /// Publishes one file, or finds that it is published.
    ///
    /// # Errors
    /// See [`CommitError`]. Never overwrites, and never leaves a copy that the log does not know of.
    pub(crate) async fn publish(
        &self,
        file: &StagedFile,
        records: &BTreeSet<RecordName>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let entry = &file.entry;
        let attempts = Attempts::of(records, entry.index);
        if attempts.published {
            return Ok(());
        }
        for k in &attempts.unknown {
            match self.judge(file, *k, now).await? {
                Judged::Published => return Ok(()),
                Judged::Foreign(problem) => return Err(self.conflict(entry, problem)),
                Judged::Absent if self.delivery.destination.consumer_deletes => {
                    return Err(CommitError::PossibleDuplicate {
                        delivery: self.delivery.id.clone(),
                        n: self.n,
                        key: entry.key.clone(),
                    });
                }
                // The client does not delete: nothing there means nothing was written. That is settled now; the staged
                // file is needed again, and made anew when it is gone.
                Judged::Absent => {
                    self.refused(entry, *k, "nothing was there when nobody could write it").await?;
                }
            }
        }
        if !attempts.unknown.is_empty() && file.generation < self.generation {
            // Nothing of the older generation is out: from now on the file is that of the newest.
            return Err(self.not_yet(1, format!("{} is staged anew", entry.key)));
        }
        self.attempt(file, attempts.last.saturating_add(1), now).await
    }

    /// Finds out what became of the copies of unknown effect of a file that is not to be published any more.
    ///
    /// # Errors
    /// When the client's store or the log fails, or a copy may still be under way.
    pub(crate) async fn find_out(
        &self,
        file: &StagedFile,
        records: &BTreeSet<RecordName>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        for k in &Attempts::of(records, file.entry.index).unknown {
            if self.judge(file, *k, now).await? == Judged::Published {
                break;
            }
        }
        Ok(())
    }

    /// Judges an attempt of unknown effect, once nobody can be making it any more.
    async fn judge(&self, file: &StagedFile, k: u32, now: Timestamp) -> Result<Judged, CommitError> {
        let entry = &file.entry;
        let key = self.record(RecordName::Attempt { file: entry.index, k });
        let attempt: Attempt = self.ledger.must_read(&key).await?;
        if let Some(seconds) = under_way(&attempt, self.timeout_seconds, now) {
            let reason = format!("attempt {k} of {} may still be under way", entry.key);
            return Err(self.not_yet(seconds, reason));
        }
        let standing = self.standing(entry).await?;
        // Messages come twice: another worker may have found the file before the client consumed it.
        if !matches!(standing, Standing::Ours(_))
            && self
                .ledger
                .records(&self.delivery.id, self.n)
                .await?
                .contains(&RecordName::Published(entry.index))
        {
            return Ok(Judged::Published);
        }
        Ok(match standing {
            Standing::Ours(head) => {
                self.published(file, &head.etag, now).await?;
                Judged::Published
            }
            Standing::Foreign(problem) => Judged::Foreign(problem),
            Standing::Absent => Judged::Absent,
        })
    }

    async fn attempt(&self, staged: &StagedFile, k: u32, now: Timestamp) -> Result<(), CommitError> {
        let file = &staged.entry;
        let attempt = Attempt {
            version: FORMAT,
            file: file.index,
            k,
            at: now,
            execution: self.execution.to_owned(),
            generation: staged.generation,
        };
        let key = self.record(RecordName::Attempt { file: file.index, k });
        if self.ledger.put_once(&key, &attempt).await? == PutOnce::Theirs {
            return Err(self.not_yet(5, format!("another worker makes attempt {k} of {}", file.key)));
        }
        self.go_ahead(file, k).await?;
        let attributes = self.attributes(file);
        let answer = self
            .store
            .copy(
                self.bucket,
                &CopyRequest {
                    source_key: &file.temp_key,
                    source_etag: &file.etag,
                    source_size: file.bytes,
                    key: &file.key,
                    attributes: &attributes,
                    capabilities: self.capabilities(),
                },
            )
            .await;
        match answer {
            Ok(CopyOutcome::Copied { etag, crc64nvme }) => {
                self.check_copy(staged, k, &etag, crc64nvme, now).await
            }
            Ok(CopyOutcome::DestinationExists) => match self.standing(file).await? {
                Standing::Ours(head) => self.published(staged, &head.etag, now).await,
                Standing::Foreign(problem) => {
                    self.refused(file, k, &problem).await?;
                    Err(self.conflict(file, problem))
                }
                Standing::Absent => {
                    self.refused(file, k, "the destination came and went").await?;
                    Err(self.not_yet(5, format!("{} came and went", file.key)))
                }
            },
            Ok(CopyOutcome::SourceChanged) => {
                self.refused(file, k, "the staged file changed or is gone").await?;
                let temp = self.store.head(self.bucket, &file.temp_key).await;
                let (delivery, n, key) = (self.delivery.id.clone(), self.n, file.temp_key.clone());
                if temp.map_err(|error| self.at_client(error))?.is_none() {
                    return Err(CommitError::Vanished { delivery, n, key });
                }
                let problem = "it changed after it was checked".to_owned();
                Err(CommitError::NotAsStaged { delivery, n, key, problem })
            }
            Err(error) if error.effect == Effect::None => {
                self.refused(file, k, &error.to_string()).await?;
                Err(self.at_client(error))
            }
            Err(error) => match self.standing(file).await {
                // What stands is ours: the effect is known after all.
                Ok(Standing::Ours(head)) => self.published(staged, &head.etag, now).await,
                // Absence proves nothing yet: the copy may still be running at the store.
                Ok(Standing::Absent | Standing::Foreign(_)) | Err(_) => Err(self.at_client(error)),
            },
        }
    }

    /// Whether the copy may be made now that its attempt is recorded. Whoever stops the intent puts its record before it looks
    /// for attempts, and this looks for that record after the attempt stands: one of the two sees the other.
    async fn go_ahead(&self, file: &OutcomeFile, k: u32) -> Result<(), CommitError> {
        let records = match self.ledger.records(&self.delivery.id, self.n).await {
            Ok(records) => records,
            Err(error) => {
                // No copy is made, and nobody shall have to wonder.
                self.refused(file, k, "the log could not be read").await?;
                return Err(error.into());
            }
        };
        let intent = IntentStanding::of(&records);
        let reason = if intent.discarded {
            "the intent was discarded"
        } else if intent.expired {
            "the intent expired"
        } else if intent.generation > Some(self.generation) {
            "the file was staged anew"
        } else {
            return Ok(());
        };
        self.refused(file, k, reason).await?;
        Err(self.not_yet(1, reason.to_owned()))
    }

    /// Compares the copy's checksum with the outcome's.
    async fn check_copy(
        &self,
        staged: &StagedFile,
        k: u32,
        etag: &str,
        answered: Option<u64>,
        now: Timestamp,
    ) -> Result<(), CommitError> {
        let file = &staged.entry;
        let sum = match answered {
            Some(sum) => sum,
            None => {
                checksum(self.store, self.bucket, &file.key, etag).await.map_err(|error| match error {
                    Invalid::Port(error) => self.at_client(error.with_unknown_effect()),
                    problem => self.conflict(file, problem.to_string()),
                })?
            }
        };
        if hex(sum) == file.crc64nvme {
            return self.published(staged, etag, now).await;
        }
        let problem = format!("checksum {} of the copy, the outcome names {}", hex(sum), file.crc64nvme);
        // Settled, and surely not published: whoever looks again finds something else than ours, and overwrites nothing.
        self.refused(file, k, &problem).await?;
        let (delivery, key) = (self.delivery.id.clone(), file.key.clone());
        Err(CommitError::DamagedCopy { delivery, n: self.n, key, problem })
    }

    /// What stands at the production key.
    async fn standing(&self, file: &OutcomeFile) -> Result<Standing, CommitError> {
        let head = self.store.head(self.bucket, &file.key).await.map_err(|error| self.at_client(error))?;
        let Some(head) = head else { return Ok(Standing::Absent) };
        let id = head.metadata.get(DELIVERY_ID).map_or("none", String::as_str).to_owned();
        let foreign =
            |sum: &str| Standing::Foreign(format!("delivery id {id}, checksum {sum}, {} bytes", head.size));
        if id != self.delivery_id() || head.size != file.bytes {
            return Ok(foreign("not looked at"));
        }
        // Metadata say what was meant to be written. What was written, only the store's checksum or the bytes say.
        let sum = match head.crc64nvme {
            Some(sum) => sum,
            None => match checksum(self.store, self.bucket, &file.key, &head.etag).await {
                Ok(sum) => sum,
                Err(Invalid::Port(error)) => return Err(self.at_client(error)),
                Err(problem) => return Ok(foreign(&problem.to_string())),
            },
        };
        if hex(sum) != file.crc64nvme {
            return Ok(foreign(&hex(sum)));
        }
        Ok(Standing::Ours(head))
    }

    async fn published(&self, staged: &StagedFile, etag: &str, now: Timestamp) -> Result<(), CommitError> {
        let file = &staged.entry;
        if !self.capabilities().multipart_tags {
            // A lesser endpoint tags after the fact; repeating it changes nothing.
            let tags = self.tags(file);
            self.store
                .put_tags(self.bucket, &file.key, &tags)
                .await
                .map_err(|error| self.at_client(error))?;
        }
        let published = Published {
            version: FORMAT,
            file: file.index,
            key: file.key.clone(),
            etag: etag.to_owned(),
            at: now,
            generation: staged.generation,
        };
        self.ledger.put_once(&self.record(RecordName::Published(file.index)), &published).await?;
        Ok(())
    }

    async fn refused(&self, file: &OutcomeFile, k: u32, reason: &str) -> Result<(), CommitError> {
        let refused = Refused { version: FORMAT, file: file.index, k, reason: reason.to_owned() };
        self.ledger.put_once(&self.record(RecordName::Refused { file: file.index, k }), &refused).await?;
        Ok(())
    }

    fn record(&self, name: RecordName) -> String {
        keys::record(&self.delivery.id, self.n, name)
    }

    fn delivery_id(&self) -> String {
        format!("{}/{}", self.delivery.id, self.n)
    }

    fn capabilities(&self) -> &Capabilities {
        &self.delivery.destination.capabilities
    }

    fn tags(&self, file: &OutcomeFile) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("schema_version".to_owned(), self.schema_version.to_string()),
            ("records".to_owned(), file.rows.to_string()),
            ("status".to_owned(), "validated".to_owned()),
            ("delivery_id".to_owned(), self.delivery_id()),
        ])
    }

    fn attributes(&self, file: &OutcomeFile) -> ObjectAttributes {
        ObjectAttributes {
            content_type: Some(self.media_type.to_owned()),
            metadata: BTreeMap::from([
                (DELIVERY_ID.to_owned(), self.delivery_id()),
                (CHECKSUM.to_owned(), file.crc64nvme.clone()),
                ("landfall-job-id".to_owned(), self.job_id.to_owned()),
                ("landfall-rows".to_owned(), file.rows.to_string()),
            ]),
            tags: self.tags(file),
            encryption: self
                .delivery
                .destination
                .kms_key_arn
                .clone()
                .map_or(Encryption::BucketDefault, Encryption::Kms),
        }
    }

    fn at_client(&self, source: PortError) -> CommitError {
        CommitError::Destination { delivery: self.delivery.id.clone(), n: self.n, source: Box::new(source) }
    }

    fn conflict(&self, file: &OutcomeFile, problem: String) -> CommitError {
        CommitError::Conflict {
            delivery: self.delivery.id.clone(),
            n: self.n,
            key: file.key.clone(),
            problem,
        }
    }

    fn not_yet(&self, seconds: u32, reason: String) -> CommitError {
        CommitError::NotYet { delivery: self.delivery.id.clone(), n: self.n, seconds, reason }
    }
}

/// How many seconds an attempt may still be under way; `None` when nobody can be making it any more.
pub(crate) fn under_way(attempt: &Attempt, timeout_seconds: u32, now: Timestamp) -> Option<u32> {
    let timeout = SignedDuration::from_secs(i64::from(timeout_seconds));
    let over = attempt.at.saturating_add(timeout + GRACE).unwrap_or(Timestamp::MAX);
    (now < over).then(|| u32::try_from(over.duration_since(now).as_secs() + 1).unwrap_or(1))
}

/// What an attempt of unknown effect came to.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// The file stands, and the log says so.
    Published,
    /// Something else stands at its key.
    Foreign(String),
    /// Nothing stands there.
    Absent,
}

/// What stands at a production key.
enum Standing {
    Absent,
    Ours(ObjectHead),
    Foreign(String),
}
