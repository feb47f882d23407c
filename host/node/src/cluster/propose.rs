//! Proposals and reads: here if this node leads, else forwarded; repeated for a bounded time while nobody leads.
use minicloud_core::command::{Applied, Command, Outcome, Rejection, Request};
use minicloud_core::id::{Index, RANDOM_ID_END, RequestKey};
use minicloud_core::state::ClusterState;
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, RaftError};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::forward::{Answer, Call, Refused};
use super::{Cluster, ProposeError};
use crate::frame;
use crate::limits::{COMMAND_BYTES_MAX, PROPOSE_RETRY_DELAY, PROPOSE_TIMEOUT};
use crate::raft::Proposal;

/// How one try ended without a result.
#[derive(Debug)]
pub(super) enum Failed {
    /// It certainly did nothing.
    NotDone(String),
    /// It may or may not have been done.
    Unknown(String),
    Rejected(Rejection),
}

impl Cluster {
    /// Proposes a command and returns once it is applied on the leader. "No leader" is retried for a bounded time.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let key = repeats_matter(&command).then(|| RequestKey(self.shared.env.random.next_u64() % RANDOM_ID_END));
        let request = Request { at: self.shared.env.now(), key, command };
        let bytes = frame::encode(&request).map_or(usize::MAX, |record| record.len());
        if bytes > COMMAND_BYTES_MAX {
            let text = format!("the request has {bytes} bytes, and {COMMAND_BYTES_MAX} are allowed: split it");
            return Err(Rejection::Invalid(text).into());
        }
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        let repeat = if request.key.is_some() { Repeat::Always } else { Repeat::IfNotDone };
        let mut retry = self.retry(deadline, repeat);
        loop {
            match self.propose_once(&request, deadline).await {
                Ok(outcome) => return Ok(outcome?),
                Err(failed) => retry.after(failed).await?,
            }
        }
    }

    /// The state with everything in it that was acknowledged before this call (ReadIndex).
    pub async fn read(&self) -> Result<ClusterState, ProposeError> {
        let deadline = Instant::now() + PROPOSE_TIMEOUT;
        let mut retry = self.retry(deadline, Repeat::Always);
        let index = loop {
            match self.read_index_once(deadline).await {
                Ok(index) => break index,
                Err(failed) => retry.after(failed).await?,
            }
        };
        // The wait also ends when this node stops, and then its state may be behind.
        let waited = timeout_at(deadline, self.wait_applied(index)).await;
        let state = self.state();
        match waited {
            Ok(()) if state.index >= index => Ok(state),
            _ => Err(ProposeError::Unavailable(format!("this node has not caught up with entry {index}"))),
        }
    }

    pub(super) fn retry(&self, deadline: Instant, repeat: Repeat) -> Retry {
        Retry { deadline, repeat, ended: self.shared.ended.clone(), doubt: None }
    }

    async fn propose_once(&self, request: &Request, deadline: Instant) -> Result<Outcome, Failed> {
        if self.leader_now().leading {
            return self.propose_here(request.clone(), deadline).await;
        }
        self.call_leader(&Call::Propose(Box::new(request.clone())), deadline).await
    }

    /// Proposes as the leader.
    pub(super) async fn propose_here(&self, request: Request, deadline: Instant) -> Result<Outcome, Failed> {
        let written = timeout_at(deadline, self.shared.raft.client_write(Proposal(request))).await;
        match written {
            Ok(Ok(response)) => response.data.0.ok_or_else(|| Failed::Unknown("the entry was replaced".into())),
            Ok(Err(error)) => Err(write_failed(error)),
            Err(_) => Err(Failed::Unknown("most managers do not answer".into())),
        }
    }

    async fn read_index_once(&self, deadline: Instant) -> Result<Index, Failed> {
        if self.leader_now().leading {
            return self.read_index_here(deadline).await;
        }
        self.call_leader(&Call::ReadIndex, deadline).await
    }

    /// Confirms with a majority that this node leads; entries up to the index returned cover all earlier answers.
    pub(super) async fn read_index_here(&self, deadline: Instant) -> Result<Index, Failed> {
        match timeout_at(deadline, self.shared.raft.ensure_linearizable(ReadPolicy::ReadIndex)).await {
            Ok(Ok(_)) => Ok(self.state().index),
            Ok(Err(error)) => Err(Failed::NotDone(error.to_string())),
            Err(_) => Err(Failed::NotDone("most managers do not answer".into())),
        }
    }

    /// Asks the leader, and gives up early when another node becomes leader.
    pub(super) async fn call_leader<T: serde::de::DeserializeOwned>(&self, call: &Call, deadline: Instant) -> Result<T, Failed> {
        let mut leadership = self.leadership();
        let at = *leadership.borrow_and_update();
        let Some(leader) = at.leader.filter(|leader| *leader != self.shared.peers.local().node()) else {
            return Err(Failed::NotDone("no leader is known".into()));
        };
        let answer: Answer<T> = tokio::select! {
            biased;
            answer = timeout_at(deadline, call.send(&self.shared.peers, leader)) =>
                answer.unwrap_or_else(|_| Err(Refused::Unknown(format!("leader {leader} did not answer in time")))),
            _ = leadership.wait_for(|now| now.term != at.term || now.leader != at.leader) =>
                Err(Refused::Unknown(format!("{leader} was the leader, and is no longer"))),
        };
        answer.map_err(Failed::from)
    }
}

/// Decides after each try that gave no result whether another follows.
pub(super) struct Retry {
    deadline: Instant,
    repeat: Repeat,
    /// This node takes part no longer.
    ended: CancellationToken,
    /// An earlier try may have been done.
    doubt: Option<String>,
}

impl Retry {
    /// Returns when it is time for the next try, or with the error that ends them all.
    pub(super) async fn after(&mut self, failed: Failed) -> Result<(), ProposeError> {
        let last = match failed {
            Failed::Rejected(rejection) => return Err(rejection.into()),
            Failed::NotDone(reason) => reason,
            Failed::Unknown(reason) if self.repeat == Repeat::IfNotDone => return Err(ProposeError::Unknown(reason)),
            Failed::Unknown(reason) => self.doubt.insert(reason).clone(),
        };
        if self.ended.is_cancelled() || Instant::now() + PROPOSE_RETRY_DELAY >= self.deadline {
            return Err(self.doubt.take().map_or(ProposeError::Unavailable(last), ProposeError::Unknown));
        }
        sleep(PROPOSE_RETRY_DELAY).await;
        Ok(())
    }
}

/// Whether a try that may have been done is repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Always,
    IfNotDone,
}

/// Commands of users get a key. What nodes and the leader say of the world is right twice as well, and comes again anyway.
fn repeats_matter(command: &Command) -> bool {
    !matches!(
        command,
        Command::ReportStatus { .. } | Command::ApplyPlan { .. } | Command::SetNodeStatus { .. } | Command::DescribeNode { .. }
    )
}

fn write_failed(error: RaftError<crate::raft::TypeConfig, ClientWriteError<crate::raft::TypeConfig>>) -> Failed {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => Failed::NotDone(forward.to_string()),
        error => Failed::Unknown(error.to_string()),
    }
}
