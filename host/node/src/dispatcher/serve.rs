//! One node's session, from its first view to its end.
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::command::Command;
use minicloud_core::id::{NodeId, TaskId, VolumeId};
use minicloud_core::state::ClusterState;
use minicloud_core::task::TaskStatus;
use minicloud_core::view::{self, NodeView};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use super::acknowledgements::Window;
use super::message::{ToLeader, ToNode};
use super::pieces::pieces;
use super::{Dispatcher, Published};
use crate::cluster::ProposeError;
use crate::frame;
use crate::limits::{STATUSES_WAITING_MAX, VIEW_FRAME_BYTES};
use crate::transport::BoxStream;

/// What the three loops of a session share.
struct Session {
    node: NodeId,
    term: u64,
    window: Mutex<Window>,
    heard: Notify,
    waiting: Mutex<Waiting>,
    reports: Notify,
    /// The last batch that is in the log.
    reported: watch::Sender<u64>,
}

/// Statuses that are not proposed yet, and the batch that brought the last of them.
#[derive(Default)]
struct Waiting {
    tasks: BTreeMap<TaskId, TaskStatus>,
    sequence: u64,
}

impl Dispatcher {
    pub(super) async fn serve_session(&self, node: NodeId, term: u64, stream: BoxStream) {
        let session = Session {
            node,
            term,
            window: Mutex::default(),
            heard: Notify::new(),
            waiting: Mutex::default(),
            reports: Notify::new(),
            reported: watch::Sender::default(),
        };
        let over = self.register(node);
        self.liveness.beat(term, node);
        debug!(%node, term, "session begins");
        let (reader, writer) = tokio::io::split(stream);
        let reason = tokio::select! {
            () = over.cancelled() => "the node began another one".to_owned(),
            ended = self.listen(&session, reader) => reason(ended),
            ended = self.speak(&session, writer) => reason(ended),
            error = self.propose_reports(&session) => error.to_string(),
        };
        debug!(%node, term, reason, "session ended");
    }

    /// Hears the node; every frame is a sign of life.
    async fn listen(&self, session: &Session, mut reader: impl AsyncRead + Unpin) -> io::Result<()> {
        while let Some(message) = frame::read(&mut reader).await? {
            self.liveness.beat(session.term, session.node);
            match message {
                ToLeader::Heartbeat => session.heard.notify_one(),
                ToLeader::Report { sequence, tasks } => session.take_report(sequence, tasks)?,
                ToLeader::Acknowledge { index } => {
                    let stands_at = session.move_window(|window| window.acknowledged(index));
                    self.stands_at(session.node, stands_at);
                }
                ToLeader::VolumesRemoved { volumes } => self.forget_volumes(session.node, volumes),
                ToLeader::Hello(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "a second hello")),
            }
        }
        Ok(())
    }

    /// Tells the node whatever is new, as fast as its stream takes it. Returns when this node leads no longer, or the
    /// other one is no member any more.
    async fn speak(&self, session: &Session, mut writer: impl AsyncWrite + Unpin) -> io::Result<()> {
        let (mut published, mut acknowledged) = (self.published.subscribe(), self.acknowledged.subscribe());
        let mut reported = session.reported.subscribe();
        published.mark_changed();
        acknowledged.mark_changed();
        let mut shown = Shown::default();
        loop {
            let message = tokio::select! {
                biased;
                Ok(()) = published.changed() => {
                    let now = published.borrow_and_update().clone();
                    let Some(now) = now.filter(|now| now.term == session.term) else {
                        break self.say_last(&mut writer, self.not_leader()).await;
                    };
                    if !now.state.nodes.contains_key(&session.node) {
                        let reason = format!("node {} was removed from the cluster", session.node);
                        break self.say_last(&mut writer, ToNode::Refused { reason }).await;
                    }
                    let leaving = now.state.volumes_leaving(session.node);
                    self.show(session, &mut writer, &mut shown, now).await?;
                    if leaving == shown.leaving {
                        continue;
                    }
                    shown.leaving.clone_from(&leaving);
                    ToNode::RemoveVolumes { volumes: leaving }
                }
                Ok(()) = reported.changed() => ToNode::Reported { sequence: *reported.borrow_and_update() },
                Ok(()) = acknowledged.changed() => ToNode::Acknowledged { index: *acknowledged.borrow_and_update() },
                () = session.heard.notified() => ToNode::Heard,
            };
            frame::write(&mut writer, &message).await?;
        }
    }

    /// Sends the delta from what the node was shown last, unless there is nothing new for it.
    async fn show(
        &self,
        session: &Session,
        writer: &mut (impl AsyncWrite + Unpin),
        shown: &mut Shown,
        now: Arc<Published>,
    ) -> io::Result<()> {
        let index = now.state.index;
        let next = shown.next(session.node, &now);
        let delta = view::delta(&shown.view, &next);
        if delta.is_empty() && shown.from.is_some() {
            shown.from = Some(now);
            let stands_at = session.move_window(|window| window.covers(index));
            self.stands_at(session.node, stands_at);
            return Ok(());
        }
        session.move_window(|window| window.sent(index));
        (shown.view, shown.from) = (next, Some(now));
        let mut pieces = pieces(delta, VIEW_FRAME_BYTES).into_iter().peekable();
        while let Some(delta) = pieces.next() {
            frame::write(writer, &ToNode::View { delta, more: pieces.peek().is_some() }).await?;
        }
        Ok(())
    }

    /// In a task of its own, because the node's signs of life are heard meanwhile. What does not reach the log is said
    /// again in the next session.
    fn forget_volumes(&self, node: NodeId, volumes: Vec<VolumeId>) {
        let replicated = Arc::clone(&self.replicated);
        tokio::spawn(async move {
            if let Err(error) = replicated.propose(Command::ForgetVolumes { node, volumes }).await {
                warn!(%node, %error, "cannot forget volumes whose data is gone");
            }
        });
    }

    async fn say_last(&self, writer: &mut (impl AsyncWrite + Unpin), message: ToNode) -> io::Result<()> {
        frame::write(writer, &message).await?;
        writer.shutdown().await
    }

    /// Puts statuses into the log, all that wait in one proposal. Returns when the log takes none.
    async fn propose_reports(&self, session: &Session) -> ProposeError {
        loop {
            session.reports.notified().await;
            let Waiting { tasks, sequence } = std::mem::take(&mut *session.waiting());
            let tasks = news(&self.replicated.state(), session.node, tasks);
            if !tasks.is_empty() {
                match self.replicated.propose(Command::ReportStatus { node: session.node, tasks }).await {
                    Ok(_) => {}
                    // Said again it would be refused again.
                    Err(ProposeError::Rejected(rejection)) => warn!(node = %session.node, %rejection, "statuses were refused"),
                    Err(error) => return error,
                }
            }
            session.reported.send_replace(sequence);
        }
    }
}

/// The view that the node was sent last, and what it was made from.
#[derive(Default)]
struct Shown {
    view: NodeView,
    from: Option<Arc<Published>>,
    /// Volumes whose data it was told to remove.
    leaving: Vec<VolumeId>,
}

impl Shown {
    /// The node's view of `now`, sharing with the last one what is equal.
    fn next(&self, node: NodeId, now: &Published) -> NodeView {
        let tasks = match &self.from {
            Some(from) if same_assignments(&from.state, &now.state) => self.view.tasks.clone(),
            _ => view::assignment_from(&self.view.tasks, &now.state, node),
        };
        NodeView { index: now.state.index, tasks, routes: now.routes.clone(), nodes: now.nodes.clone() }
    }
}

/// Assignments are made from these rows alone.
fn same_assignments(old: &ClusterState, new: &ClusterState) -> bool {
    old.tasks.ptr_eq(&new.tasks) && old.services.ptr_eq(&new.services) && old.volumes.ptr_eq(&new.volumes)
}

/// The statuses that change something: of tasks of this very node, and later than what the state has.
fn news(state: &ClusterState, node: NodeId, tasks: BTreeMap<TaskId, TaskStatus>) -> Vec<(TaskId, TaskStatus)> {
    let is_news = |task: &TaskId, status: &TaskStatus| {
        let row = state.tasks.get(task).filter(|row| row.node == Some(node));
        row.is_some_and(|row| row.status.clone().merge(status))
    };
    tasks.into_iter().filter(|(task, status)| is_news(task, status)).collect()
}

impl Session {
    fn take_report(&self, sequence: u64, tasks: Vec<(TaskId, TaskStatus)>) -> io::Result<()> {
        let mut waiting = self.waiting();
        waiting.tasks.extend(tasks);
        waiting.sequence = sequence;
        if waiting.tasks.len() > STATUSES_WAITING_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more statuses than a node has tasks"));
        }
        self.reports.notify_one();
        Ok(())
    }

    fn move_window(&self, change: impl FnOnce(&mut Window)) -> minicloud_core::id::Index {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut window);
        window.stands_at()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reason(ended: io::Result<()>) -> String {
    ended.map_or_else(|error| error.to_string(), |()| "the other end ended it".to_owned())
}
