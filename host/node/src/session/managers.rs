//! Which manager to ask next for the leader. Pure, but for the file that a restarted worker reads.
//!
//! A manager's word on who leads comes first; else the known managers in turn, in an order of this node's own so that
//! not all nodes run to the same one.
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use minicloud_core::id::NodeId;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::data_dir::write_atomic;
use crate::limits::SESSION_REDIRECTS_MAX;

/// A manager as far as it is known: before the first view only by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Manager {
    #[serde(default)]
    pub node: Option<NodeId>,
    pub address: SocketAddr,
}

#[derive(Debug, Default)]
pub(super) struct Managers {
    known: Vec<Manager>,
    queue: VecDeque<Manager>,
    hint: Option<Manager>,
    /// The last one that did not serve: others go first.
    avoid: Option<Manager>,
    redirects: u32,
}

impl Managers {
    pub(super) fn new(known: Vec<Manager>) -> Self {
        let mut managers = Managers::default();
        known.into_iter().for_each(|manager| managers.add(manager));
        managers
    }

    pub(super) fn known(&self) -> &[Manager] {
        &self.known
    }

    /// The managers of a newer view. True when they differ. An empty list changes nothing: there is always one.
    pub(super) fn learn(&mut self, mut managers: Vec<Manager>) -> bool {
        managers.sort();
        if managers.is_empty() || managers == self.known {
            return false;
        }
        self.known = managers;
        self.queue.clear();
        true
    }

    /// A manager's word on who leads. False when it is to be followed only after a wait.
    pub(super) fn redirect(&mut self, leader: Manager) -> bool {
        self.redirects += 1;
        self.hint = Some(leader);
        self.redirects <= SESSION_REDIRECTS_MAX
    }

    /// There was a session, so words about the leader are believed again.
    pub(super) fn served(&mut self) {
        self.redirects = 0;
    }

    /// Whom to ask now. `rotation` chooses where a round begins.
    pub(super) fn next(&mut self, rotation: u64) -> Option<Manager> {
        if let Some(hint) = self.hint.take() {
            return Some(hint);
        }
        if self.queue.is_empty() {
            let length = self.known.len().max(1) as u64;
            self.queue.extend(&self.known);
            self.queue.rotate_left((rotation % length) as usize % self.queue.len().max(1));
        }
        let manager = self.queue.pop_front()?;
        match self.queue.pop_front() {
            Some(other) if self.avoid.take() == Some(manager) => {
                self.queue.push_front(manager);
                Some(other)
            }
            Some(other) => {
                self.queue.push_front(other);
                Some(manager)
            }
            None => Some(manager),
        }
    }

    /// That one did not serve, or no longer.
    pub(super) fn failed(&mut self, manager: Manager) {
        self.avoid = Some(manager);
    }

    fn add(&mut self, manager: Manager) {
        if !self.known.iter().any(|known| known.address == manager.address) {
            self.known.push(manager);
            self.known.sort();
        }
    }
}

/// The managers that the node wrote down in an earlier life; none when there is no file. One that does not read is passed
/// over: the node may still know others.
pub(super) fn load(file: &Path) -> Vec<Manager> {
    let read = std::fs::read(file).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::other));
    match read {
        Ok(managers) => managers,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            warn!(file = %file.display(), %error, "the managers that were written down cannot be read");
            Vec::new()
        }
    }
}

/// Replaces the file in one piece.
pub(super) async fn store(file: &Path, managers: &[Manager]) -> io::Result<()> {
    let bytes = serde_json::to_vec(managers).map_err(io::Error::other)?;
    let file = file.to_owned();
    let written = tokio::task::spawn_blocking(move || write_atomic(&file, &bytes)).await;
    written.map_err(io::Error::other)?.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager(port: u16) -> Manager {
        Manager { node: Some(NodeId(port.into())), address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    #[test]
    fn every_manager_gets_its_turn_from_anywhere() {
        let mut managers = Managers::new(vec![manager(1), manager(2), manager(3)]);
        let round: Vec<_> = (0..4).map(|_| managers.next(7).unwrap()).collect();
        assert_eq!(round, [manager(2), manager(3), manager(1), manager(2)]);
    }

    #[test]
    fn a_word_on_the_leader_goes_first_but_not_for_ever() {
        let mut managers = Managers::new(vec![manager(1), manager(2)]);
        for _ in 0..SESSION_REDIRECTS_MAX {
            assert!(managers.redirect(manager(9)));
            assert_eq!(managers.next(0), Some(manager(9)));
        }
        assert!(!managers.redirect(manager(9)), "two managers that point at each other are asked slowly");
        managers.served();
        assert!(managers.redirect(manager(2)));
    }

    #[test]
    fn one_that_failed_is_not_asked_next_unless_it_is_the_only_one() {
        let mut managers = Managers::new(vec![manager(1), manager(2)]);
        managers.failed(manager(1));
        assert_eq!(managers.next(0), Some(manager(2)));
        assert_eq!(managers.next(0), Some(manager(1)));
        let mut managers = Managers::new(vec![manager(1)]);
        managers.failed(manager(1));
        assert_eq!(managers.next(0), Some(manager(1)));
    }

    #[test]
    fn nobody_known_is_nobody_asked() {
        assert_eq!(Managers::new(Vec::new()).next(3), None);
        let mut managers = Managers::new(vec![manager(1)]);
        assert!(!managers.learn(Vec::new()));
        assert_eq!(managers.next(0), Some(manager(1)));
    }

    #[tokio::test]
    async fn a_restarted_node_reads_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("managers.json");
        assert_eq!(load(&file), []);
        store(&file, &[manager(1), manager(2)]).await.unwrap();
        assert_eq!(load(&file), [manager(1), manager(2)]);
        std::fs::write(&file, "garbage").unwrap();
        assert_eq!(load(&file), []);
    }
}
