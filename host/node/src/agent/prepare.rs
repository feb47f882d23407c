//! Components made ready: fetched and compiled once per digest, however many tasks wait for it.
//!
//! Owns the single flight and the bound on work in parallel. Fetching is the image source's business, compiling the
//! executor's. What failed is tried again by the next task that asks.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use minicloud_core::spec::Digest;
use tokio::sync::{Semaphore, watch};

use crate::executor::{Executor, TaskError};
use crate::limits::PREPARES_MAX;

/// Where components come from.
#[async_trait]
pub trait ImageSource: Send + Sync + 'static {
    /// The file with the bytes of this digest, fetched from another node if need be. The error is one line for the user.
    async fn ensure(&self, digest: Digest) -> Result<PathBuf, String>;
}

type Outcome = Result<PathBuf, TaskError>;

pub(super) struct Preparer {
    images: Arc<dyn ImageSource>,
    executor: Arc<dyn Executor>,
    permits: Semaphore,
    digests: Mutex<BTreeMap<Digest, watch::Receiver<Option<Outcome>>>>,
}

impl Preparer {
    pub(super) fn new(images: Arc<dyn ImageSource>, executor: Arc<dyn Executor>) -> Arc<Self> {
        Arc::new(Preparer { images, executor, permits: Semaphore::new(PREPARES_MAX), digests: Mutex::default() })
    }

    /// The component's file if it is ready already: the short way of every start but the first.
    pub(super) fn ready(&self, digest: Digest) -> Option<PathBuf> {
        let path = self.lock().get(&digest)?.borrow().clone()?.ok()?;
        path.exists().then_some(path)
    }

    /// Waits until the component is ready, and starts the work if nobody did. Cancel-safe: the work goes on.
    pub(super) async fn prepare(self: &Arc<Self>, digest: Digest) -> Outcome {
        let mut flight = self.join(digest);
        let outcome = flight.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome {
            Ok(Some(outcome)) => outcome,
            _ => Err(TaskError::new("preparing the component ended without an answer")),
        }
    }

    fn join(self: &Arc<Self>, digest: Digest) -> watch::Receiver<Option<Outcome>> {
        let mut digests = self.lock();
        if let Some(flight) = digests.get(&digest)
            && still_good(flight)
        {
            return flight.clone();
        }
        let (done, flight) = watch::channel(None);
        digests.insert(digest, flight.clone());
        let preparer = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = preparer.work(digest).await;
            done.send_replace(Some(outcome));
        });
        flight
    }

    async fn work(&self, digest: Digest) -> Outcome {
        let _permit = self.permits.acquire().await.map_err(|_| TaskError::new("the node is shutting down"))?;
        let path = self.images.ensure(digest).await.map_err(TaskError::new)?;
        self.executor.prepare(digest, &path).await?;
        Ok(path)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, watch::Receiver<Option<Outcome>>>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Under way, or done and its file still there. A sender that is gone without an answer panicked.
fn still_good(flight: &watch::Receiver<Option<Outcome>>) -> bool {
    match &*flight.borrow() {
        None => flight.has_changed().is_ok(),
        Some(Ok(path)) => path.exists(),
        Some(Err(_)) => false,
    }
}
