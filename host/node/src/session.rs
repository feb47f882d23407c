//! A node's session with the leader: heartbeats and statuses go out, the view comes in.
//!
//! Every node runs one, managers too. It finds the leader through any manager, and never stops looking: while there
//! is no session the last view stands, and statuses wait. It decides nothing about tasks; `agent` does, through
//! [`SessionHandle`]. The other end is `dispatcher`.
//!
//! ```text
//! let (session, handle) = Session::new(options);
//! tokio::spawn(session.run(shutdown));
//! ```
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minicloud_core::id::{Index, NodeId, TaskId, VolumeId};
use minicloud_core::limits::HEARTBEAT_INTERVAL;
use minicloud_core::state::{NodeDescription, Role};
use minicloud_core::task::TaskStatus;
use minicloud_core::view::NodeView;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::dispatcher::message::{Hello, ToLeader, ToNode};
use crate::env::Random;
use crate::frame;
use crate::limits::{SESSION_DIAL_MAX, SESSION_RETRY_DELAY_FIRST, SESSION_RETRY_DELAY_MAX, SESSION_SILENCE_MAX};

mod dial;
mod managers;
mod outbox;

pub use dial::{Dial, OwnDispatcher, PeersDial, serve_within};
pub use managers::Manager;

use managers::Managers;
use outbox::Outbox;

pub struct SessionOptions {
    pub node: NodeId,
    pub hostname: String,
    /// Where other nodes reach this one.
    pub address: SocketAddr,
    pub description: NodeDescription,
    pub dial: Arc<dyn Dial>,
    /// Managers known from joining or from this node's own membership, itself included when it is one.
    pub managers: Vec<Manager>,
    /// Where the managers of the last view are written down, and read at the next start.
    pub managers_file: PathBuf,
    pub random: Arc<dyn Random>,
}

/// See the module. Consumed by [`Session::run`].
pub struct Session {
    options: SessionOptions,
    shared: Arc<Shared>,
    managers: Managers,
    /// Tries in a row that led to no session.
    failures: u32,
}

/// What the rest of the node knows of the session. Cheap to clone.
#[derive(Clone)]
pub struct SessionHandle {
    shared: Arc<Shared>,
}

struct Shared {
    view: watch::Sender<Arc<NodeView>>,
    acknowledged: watch::Sender<Index>,
    applied: watch::Sender<Index>,
    status: watch::Sender<SessionStatus>,
    /// Volumes whose data is to go, and those whose data is gone.
    leaving: watch::Sender<Vec<VolumeId>>,
    gone: watch::Sender<Vec<VolumeId>>,
    outbox: Mutex<Outbox>,
    reports: Notify,
}

/// How the session stands, for `info` and for tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionStatus {
    /// Looks for the leader; the text says what came of the last try.
    #[default]
    Looking,
    Waiting(String),
    /// The leader knows this node.
    Connected(Manager),
}

/// How one try to have a session ended.
enum Ended {
    /// That one leads, according to the manager asked.
    Redirected(Manager),
    /// There was a session.
    Lost(String),
    /// There was none.
    Failed(String),
}

impl SessionHandle {
    /// A handle without a session behind it, for tests of what uses one.
    pub fn detached() -> Self {
        SessionHandle {
            shared: Arc::new(Shared {
                view: watch::Sender::default(),
                acknowledged: watch::Sender::default(),
                applied: watch::Sender::default(),
                status: watch::Sender::default(),
                leaving: watch::Sender::default(),
                gone: watch::Sender::default(),
                outbox: Mutex::default(),
                reports: Notify::new(),
            }),
        }
    }

    /// The node's view; index 0 until the first one came.
    pub fn view(&self) -> watch::Receiver<Arc<NodeView>> {
        self.shared.view.subscribe()
    }

    /// The least index that all live nodes have acknowledged. Never goes back.
    pub fn acknowledged(&self) -> watch::Receiver<Index> {
        self.shared.acknowledged.subscribe()
    }

    pub fn status(&self) -> watch::Receiver<SessionStatus> {
        self.shared.status.subscribe()
    }

    /// The state of a task as of now. The last word on every task reaches the log, however often the session breaks.
    pub fn report(&self, task: TaskId, status: TaskStatus) {
        self.shared.outbox().report(task, status, Instant::now());
        self.shared.reports.notify_one();
    }

    /// Volumes whose data the leader wants removed here; it says so again in each session until it is done.
    pub fn volumes_leaving(&self) -> watch::Receiver<Vec<VolumeId>> {
        self.shared.leaving.subscribe()
    }

    /// The data of these volumes is gone.
    pub fn volumes_gone(&self, volumes: Vec<VolumeId>) {
        self.shared.gone.send_replace(volumes);
    }

    /// The view has the task no longer, and it has ended here.
    pub fn forget(&self, task: TaskId) {
        self.shared.outbox().forget(task);
    }

    /// What was last said of a task; `None` when it is not one of this node's.
    pub fn last_word(&self, task: TaskId) -> Option<TaskStatus> {
        self.shared.outbox().last_word(task).cloned()
    }

    /// The index of the view that is in force here.
    pub fn applied(&self) -> watch::Receiver<Index> {
        self.shared.applied.subscribe()
    }

    /// This node's routes are those of the view at `index`.
    pub fn acknowledge(&self, index: Index) {
        self.shared.applied.send_replace(index);
    }

    /// Moves the view on, as the leader's words do. For tests that have no session behind the handle.
    pub fn show(&self, view: NodeView) {
        self.shared.view.send_replace(Arc::new(view));
    }

    /// Raises what all live nodes acknowledged, as the leader's words do.
    pub fn raise_acknowledged(&self, index: Index) {
        self.shared.acknowledged.send_if_modified(|least| {
            let rises = index > *least;
            *least = index.max(*least);
            rises
        });
    }
}

impl Shared {
    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    pub fn new(options: SessionOptions) -> (Session, SessionHandle) {
        let handle = SessionHandle::detached();
        let mut known = managers::load(&options.managers_file);
        known.extend(&options.managers);
        let session = Session { managers: Managers::new(known), shared: Arc::clone(&handle.shared), options, failures: 0 };
        (session, handle)
    }

    /// Holds a session with whoever leads until `shutdown`.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let _ = shutdown.run_until_cancelled(self.look_and_serve()).await;
    }

    async fn look_and_serve(&mut self) {
        loop {
            let ended = match self.managers.next(self.options.random.next_u64()) {
                Some(manager) => {
                    let ended = self.attempt(manager).await;
                    self.managers.failed(manager);
                    ended
                }
                None => Ended::Failed("no manager is known".into()),
            };
            let wait = self.wait_after(ended);
            sleep(wait).await;
        }
    }

    /// Settles what a try teaches, and how long to wait before the next one.
    fn wait_after(&mut self, ended: Ended) -> Duration {
        let reason = match ended {
            Ended::Redirected(leader) if self.managers.redirect(leader) => return Duration::ZERO,
            Ended::Redirected(leader) => format!("sent on to {} too often", leader.address),
            Ended::Lost(reason) => {
                warn!(reason, "lost the session with the leader; looking for one");
                self.failures = 0;
                reason
            }
            Ended::Failed(reason) => {
                debug!(reason, "no session yet");
                reason
            }
        };
        self.shared.status.send_replace(SessionStatus::Waiting(reason));
        let delay = (SESSION_RETRY_DELAY_FIRST * 2u32.saturating_pow(self.failures)).min(SESSION_RETRY_DELAY_MAX);
        self.failures = self.failures.saturating_add(1).min(16);
        jitter(delay, 50, &*self.options.random)
    }

    async fn attempt(&mut self, manager: Manager) -> Ended {
        let stream = match timeout(SESSION_DIAL_MAX, self.options.dial.dial(manager)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(reason)) => return Ended::Failed(format!("manager {}: {reason}", manager.address)),
            Err(_) => return Ended::Failed(format!("manager {} does not answer", manager.address)),
        };
        let (reader, mut writer) = tokio::io::split(stream);
        if let Err(error) = frame::write(&mut writer, &ToLeader::Hello(self.hello())).await {
            return Ended::Failed(format!("manager {}: {error}", manager.address));
        }
        self.shared.outbox().restart(Instant::now());
        let (shared, random) = (Arc::clone(&self.shared), Arc::clone(&self.options.random));
        tokio::select! {
            ended = self.listen(manager, reader) => ended,
            error = speak(&shared, writer, &*random) => Ended::Lost(error.to_string()),
        }
    }

    fn hello(&self) -> Hello {
        Hello {
            hostname: self.options.hostname.clone(),
            address: self.options.address,
            description: self.options.description.clone(),
            seen: self.shared.view.borrow().index,
        }
    }

    /// Takes in what the leader says, to the end of the session.
    async fn listen(&mut self, manager: Manager, mut reader: impl AsyncRead + Unpin) -> Ended {
        let mut pieces = None;
        let mut served = false;
        loop {
            let message = match timeout(SESSION_SILENCE_MAX, frame::read(&mut reader)).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return ended(served, "the leader ended it".into()),
                Ok(Err(error)) => return ended(served, error.to_string()),
                Err(_) => return ended(served, "the leader fell silent".into()),
            };
            match message {
                ToNode::NotLeader { leader: Some((node, address)) } => return Ended::Redirected(Manager { node: Some(node), address }),
                ToNode::NotLeader { leader: None } => return ended(served, "the cluster has no leader at the moment".into()),
                ToNode::Refused { reason } => {
                    warn!(reason, "the leader refuses a session");
                    return Ended::Failed(reason);
                }
                ToNode::View { delta, more } => {
                    let mut view = pieces.take().unwrap_or_else(|| NodeView::clone(&self.shared.view.borrow()));
                    if let Err(mismatch) = view.apply(delta) {
                        return ended(served, mismatch.to_string());
                    }
                    if more {
                        pieces = Some(view);
                        continue;
                    }
                    if !std::mem::replace(&mut served, true) {
                        self.connected(manager);
                    }
                    self.take_view(view).await;
                }
                ToNode::Reported { sequence } => {
                    self.shared.outbox().reported(sequence);
                    self.shared.reports.notify_one();
                }
                ToNode::Acknowledged { index } => SessionHandle { shared: Arc::clone(&self.shared) }.raise_acknowledged(index),
                ToNode::RemoveVolumes { volumes } => drop(self.shared.leaving.send_replace(volumes)),
                ToNode::Heard => {}
            }
        }
    }

    fn connected(&mut self, manager: Manager) {
        info!(leader = %manager.address, "session with the leader");
        self.failures = 0;
        self.managers.served();
        self.shared.status.send_replace(SessionStatus::Connected(manager));
    }

    async fn take_view(&mut self, view: NodeView) {
        let managers = view.nodes.values().filter(|node| node.role == Role::Manager);
        let managers = managers.map(|node| Manager { node: Some(node.id), address: node.address }).collect();
        self.shared.view.send_replace(Arc::new(view));
        if self.managers.learn(managers)
            && let Err(error) = managers::store(&self.options.managers_file, self.managers.known()).await
        {
            warn!(%error, file = %self.options.managers_file.display(), "cannot write down the managers");
        }
    }
}

fn ended(served: bool, reason: String) -> Ended {
    if served { Ended::Lost(reason) } else { Ended::Failed(reason) }
}

/// Says what there is to say; returns when the stream breaks.
async fn speak(shared: &Shared, mut writer: impl AsyncWrite + Unpin, random: &dyn Random) -> std::io::Error {
    let (mut applied, mut gone) = (shared.applied.subscribe(), shared.gone.subscribe());
    let mut told = Index(0);
    let mut beat_at = Instant::now();
    loop {
        let index = *applied.borrow_and_update();
        if let Err(error) = say_what_is_due(shared, &mut writer, index, &mut told, &mut beat_at, random).await {
            return error;
        }
        let wake_at = shared.outbox().wake_at().map_or(beat_at, |due| due.min(beat_at));
        tokio::select! {
            () = sleep_until(wake_at) => {}
            () = shared.reports.notified() => {}
            _ = applied.changed() => {}
            Ok(()) = gone.changed() => {
                let message = ToLeader::VolumesRemoved { volumes: gone.borrow_and_update().clone() };
                if let Err(error) = frame::write(&mut writer, &message).await {
                    return error;
                }
            }
        }
        // What others report in the same breath goes into the same batch.
        tokio::task::yield_now().await;
    }
}

async fn say_what_is_due(
    shared: &Shared,
    writer: &mut (impl AsyncWrite + Unpin),
    applied: Index,
    told: &mut Index,
    beat_at: &mut Instant,
    random: &dyn Random,
) -> std::io::Result<()> {
    let now = Instant::now();
    if now >= *beat_at {
        *beat_at = now + jitter(HEARTBEAT_INTERVAL, 10, random);
        frame::write(writer, &ToLeader::Heartbeat).await?;
    }
    if applied != *told {
        *told = applied;
        frame::write(writer, &ToLeader::Acknowledge { index: applied }).await?;
    }
    let batch = shared.outbox().next_batch(now);
    if let Some(batch) = batch {
        frame::write(writer, &ToLeader::Report { sequence: batch.sequence, tasks: batch.tasks }).await?;
    }
    Ok(())
}

/// The duration, up to that many percent shorter or longer.
fn jitter(duration: Duration, percent: u32, random: &dyn Random) -> Duration {
    let permille = 1_000 - 10 * percent + (random.next_u64() % u64::from(20 * percent + 1)) as u32;
    duration * permille / 1_000
}
