//! Group commit: many callers, one thread that writes, one sync for all who wait.
//!
//! While one batch is being synced, callers queue up; together they are the next batch. So the
//! rate grows with the number of callers while each waits for about two syncs. Deliberately
//! absent: timers. A lone caller is never made to wait for company.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tlog::{CheckpointSigner, VerifierKey};
use traveler::Change;

use crate::index::Shared;
use crate::{AppendError, Appended, Error, Ledger, Reader};

/// Changes in one transaction. 256 take about 30 ms to apply; more would only add delay.
const BATCH_MAX: usize = 256;
/// Callers in the queue before further ones wait to get in.
const QUEUE: usize = 1_024;

/// A handle to the thread that writes. Clones share it.
#[derive(Clone)]
pub struct Writer {
    jobs: SyncSender<Job>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    path: PathBuf,
    keys: Arc<Shared>,
    vkey: VerifierKey,
}

enum Job {
    Append(Change, SyncSender<Result<Appended, AppendError>>),
    Sign(SyncSender<Result<bool, Error>>),
    Close,
}

impl Writer {
    /// Starts the thread. It ends at [`Writer::close`] or with the last handle.
    #[must_use]
    pub fn spawn(ledger: Ledger, signer: Arc<dyn CheckpointSigner + Send + Sync>) -> Writer {
        let (jobs, queue) = sync_channel(QUEUE);
        let (path, vkey) = (ledger.path().to_owned(), ledger.vkey().clone());
        let keys = ledger.keys();
        let thread = std::thread::spawn(move || run(ledger, &queue, signer.as_ref()));
        Writer {
            jobs,
            thread: Arc::new(Mutex::new(Some(thread))),
            path,
            keys,
            vkey,
        }
    }

    /// Writes one change and returns when it is durable. Blocks.
    ///
    /// # Errors
    /// [`AppendError::Refused`] by a rule; otherwise it is not known to be written: ask again.
    pub fn append(&self, change: Change) -> Result<Appended, AppendError> {
        let (reply, answer) = sync_channel(1);
        self.jobs
            .send(Job::Append(change, reply))
            .map_err(|_| AppendError::Closed)?;
        // No answer: the thread ended before it took the change up, so nothing was written.
        answer.recv().unwrap_or(Err(AppendError::Closed))
    }

    /// Signs over entries that were written while the key was away. True when there were any.
    ///
    /// # Errors
    /// [`AppendError::Io`] with [`Error::Sign`] when it still is.
    pub fn sign_pending(&self) -> Result<bool, AppendError> {
        let (reply, answer) = sync_channel(1);
        self.jobs
            .send(Job::Sign(reply))
            .map_err(|_| AppendError::Closed)?;
        match answer.recv() {
            Ok(signed) => signed.map_err(|error| AppendError::Io(Arc::new(error))),
            Err(_) => Err(AppendError::Closed),
        }
    }

    /// A connection of its own for reading.
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn reader(&self) -> Result<Reader, Error> {
        Reader::beside_writer(&self.path, Arc::clone(&self.keys))
    }

    /// The key the log's checkpoints are checked with.
    #[must_use]
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Writes what is queued, folds the write-ahead log in, and ends the thread. Later calls on
    /// other handles are answered with [`AppendError::Closed`].
    pub fn close(self) {
        // Both fail only when another handle has closed it already.
        let _ = self.jobs.send(Job::Close);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

fn run(mut ledger: Ledger, queue: &Receiver<Job>, signer: &dyn CheckpointSigner) {
    let mut open = true;
    while open {
        let Some(first) = next(&mut ledger, queue) else {
            break;
        };
        let (mut changes, mut callers) = (Vec::new(), Vec::new());
        let mut signs = Vec::new();
        for job in std::iter::once(first).chain(queue.try_iter().take(BATCH_MAX - 1)) {
            match job {
                Job::Append(change, reply) => {
                    changes.push(change);
                    callers.push(reply);
                }
                Job::Sign(reply) => signs.push(reply),
                Job::Close => {
                    open = false;
                    break;
                }
            }
        }
        if !changes.is_empty() {
            answer(callers, ledger.append(&changes, signer));
        }
        for reply in signs {
            let _ = reply.send(ledger.sign_pending(signer));
        }
    }
    // Everything is durable; this only tidies up, and `open` can do without.
    let _ = ledger.close();
}

/// The next job. Until there is one, the ledger tidies up.
///
/// What fails there has cost no entry and is tried again; a caller hears of it only when an append
/// cannot go on without.
fn next(ledger: &mut Ledger, queue: &Receiver<Job>) -> Option<Job> {
    let mut more = ledger.maintain(false).unwrap_or(false);
    loop {
        match queue.try_recv() {
            Ok(job) => return Some(job),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) if more => {
                more = ledger.maintain(true).unwrap_or(false);
            }
            Err(TryRecvError::Empty) => return queue.recv().ok(),
        }
    }
}

/// Tells each caller its own outcome. A caller that went away is no trouble.
fn answer(
    callers: Vec<SyncSender<Result<Appended, AppendError>>>,
    outcomes: Result<Vec<Result<Appended, crate::Refused>>, Error>,
) {
    match outcomes {
        Ok(outcomes) => {
            for (caller, outcome) in callers.into_iter().zip(outcomes) {
                let _ = caller.send(outcome.map_err(AppendError::Refused));
            }
        }
        Err(error) => {
            let error = Arc::new(error);
            for caller in callers {
                let _ = caller.send(Err(AppendError::Io(Arc::clone(&error))));
            }
        }
    }
}
