//! The last events of the cluster, as this manager applied them, for whoever wants to read along.
//!
//! A ring: a reader has a place in it and no queue of its own, so a slow one costs nothing, and is told how many events
//! it missed once the ring has gone on without it. Written by the state machine, read by the API.
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minicloud_core::event::{Event, Subject};
use minicloud_core::id::Index;
use minicloud_core::time::Timestamp;
use tokio::sync::watch;

use crate::limits::{EVENT_DETAIL_BYTES_MAX, EVENTS_KEPT_MAX};

/// See the module. Cheap to clone; clones are the same ring.
#[derive(Clone, Default)]
pub struct Events {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ring: Mutex<Ring>,
    /// How many events there ever were.
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Arc<Event>>,
    /// How many were dropped at the front.
    dropped: u64,
    term: Option<Term>,
    leader: Option<Leader>,
}

/// The first entry of a term that was applied here, until it is known who leads in it.
struct Term {
    term: u64,
    index: Index,
    at: Timestamp,
}

/// Who leads, as consensus says.
struct Leader {
    term: u64,
    id: String,
    hostname: String,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With what happens from now on.
    Now,
    /// With what happened at or after this time, as far as it is kept.
    Time(Timestamp),
    /// With the first event of this entry of the log, or a later one.
    Index(Index),
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    Event(Arc<Event>),
    /// So many events are gone that it had not read yet.
    Missed(u64),
}

impl Events {
    pub fn push(&self, events: impl IntoIterator<Item = Event>) {
        let count = {
            let mut ring = self.ring();
            events.into_iter().for_each(|event| ring.push(event));
            ring.end()
        };
        self.tell(count);
    }

    /// The state reached the first entry of a term. Who leads in it, another says.
    pub fn term_began(&self, term: u64, index: Index, at: Timestamp) {
        let count = {
            let mut ring = self.ring();
            ring.term = Some(Term { term, index, at });
            ring.tell_leader();
            ring.end()
        };
        self.tell(count);
    }

    /// Who leads in a term; told as an event once the state has reached that term.
    pub fn leads(&self, term: u64, id: String, hostname: String) {
        let count = {
            let mut ring = self.ring();
            ring.leader = Some(Leader { term, id, hostname });
            ring.tell_leader();
            ring.end()
        };
        self.tell(count);
    }

    pub fn reader(&self, begin: Begin) -> Reader {
        let count = self.shared.count.subscribe();
        let ring = self.ring();
        let at = match begin {
            Begin::Now => ring.kept.len(),
            // Times come from several clocks, and so need not be in order.
            Begin::Time(time) => ring.kept.iter().position(|event| event.at_ms >= time).unwrap_or(ring.kept.len()),
            Begin::Index(index) => ring.kept.iter().position(|event| event.index >= index).unwrap_or(ring.kept.len()),
        };
        let next = ring.dropped + at as u64;
        drop(ring);
        Reader { events: self.clone(), count, next }
    }

    fn tell(&self, count: u64) {
        self.shared.count.send_if_modified(|told| std::mem::replace(told, count) != count);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, mut event: Event) {
        let end = event.detail.floor_char_boundary(EVENT_DETAIL_BYTES_MAX);
        event.detail.truncate(end);
        self.kept.push_back(Arc::new(event));
        if self.kept.len() > EVENTS_KEPT_MAX {
            self.kept.pop_front();
            self.dropped += 1;
        }
    }

    fn end(&self) -> u64 {
        self.dropped + self.kept.len() as u64
    }

    /// Once both are known: where the term began, and who leads in it.
    fn tell_leader(&mut self) {
        let (Some(began), Some(leader)) = (&self.term, &self.leader) else { return };
        if began.term != leader.term {
            return;
        }
        let event = Event {
            index: began.index,
            // A term begins with an entry of its own, which changes nothing.
            number: 0,
            at_ms: began.at,
            subject: Subject::Cluster,
            action: "leader_changed".into(),
            id: leader.id.clone(),
            name: leader.hostname.clone(),
            service: None,
            node: Some(leader.hostname.clone()),
            detail: format!("leads in term {}", began.term),
        };
        self.term = None;
        self.push(event);
    }
}

/// A place in the ring.
pub struct Reader {
    events: Events,
    count: watch::Receiver<u64>,
    next: u64,
}

impl Reader {
    /// The next one, waited for. `None`: there will be no more.
    pub async fn next(&mut self) -> Option<Read> {
        loop {
            self.count.borrow_and_update();
            if let Some(read) = self.take() {
                return Some(read);
            }
            // This reader holds the sender: an error cannot come.
            self.count.changed().await.ok()?;
        }
    }

    /// The next one, if it is there.
    pub fn take(&mut self) -> Option<Read> {
        let ring = self.events.ring();
        if let Some(missed) = ring.dropped.checked_sub(self.next).filter(|missed| *missed > 0) {
            self.next = ring.dropped;
            return Some(Read::Missed(missed));
        }
        let at = usize::try_from(self.next - ring.dropped).ok()?;
        let event = Arc::clone(ring.kept.get(at)?);
        self.next += 1;
        Some(Read::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(index: u64) -> Event {
        Event {
            index: Index(index),
            number: 0,
            at_ms: Timestamp(index * 1_000),
            subject: Subject::Service,
            action: "created".into(),
            id: String::new(),
            name: format!("s{index}"),
            service: None,
            node: None,
            detail: String::new(),
        }
    }

    fn taken(reader: &mut Reader) -> Vec<String> {
        let text = |read| match read {
            Read::Event(event) => format!("{} {}", event.action, event.name),
            Read::Missed(count) => format!("missed {count}"),
        };
        std::iter::from_fn(|| reader.take()).map(text).collect()
    }

    #[test]
    fn a_reader_begins_where_it_wants_to() {
        let events = Events::default();
        events.push((1..=3).map(event));
        let mut now = events.reader(Begin::Now);
        assert_eq!(taken(&mut now), Vec::<String>::new());
        assert_eq!(taken(&mut events.reader(Begin::Time(Timestamp(2_000)))), ["created s2", "created s3"]);
        assert_eq!(taken(&mut events.reader(Begin::Index(Index(3)))), ["created s3"]);
        assert_eq!(taken(&mut events.reader(Begin::Index(Index(9)))), Vec::<String>::new());
        events.push([event(4)]);
        assert_eq!(taken(&mut now), ["created s4"]);
    }

    #[test]
    fn a_slow_reader_is_told_what_it_missed_and_goes_on() {
        let events = Events::default();
        let mut slow = events.reader(Begin::Now);
        events.push((1..=EVENTS_KEPT_MAX as u64 + 5).map(event));
        let all = taken(&mut slow);
        assert_eq!((all[0].as_str(), all[1].as_str(), all.len()), ("missed 5", "created s6", EVENTS_KEPT_MAX + 1));
        events.push([event(1)]);
        assert_eq!(taken(&mut slow), ["created s1"]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let events = Events::default();
        let mut reader = events.reader(Begin::Now);
        let (read, ()) = tokio::join!(reader.next(), async { events.push([event(1)]) });
        assert!(matches!(read, Some(Read::Event(event)) if event.index == Index(1)));
    }

    #[test]
    fn a_leader_is_told_once_its_term_and_its_name_are_known_in_either_order() {
        let events = Events::default();
        let mut reader = events.reader(Begin::Now);
        events.leads(1, "n1".into(), "node1".into());
        assert_eq!(taken(&mut reader), Vec::<String>::new());
        events.term_began(1, Index(1), Timestamp(5));
        assert_eq!(taken(&mut reader), ["leader_changed node1"]);
        // It is heard of again, as its followers come and go.
        events.leads(1, "n1".into(), "node1".into());
        assert_eq!(taken(&mut reader), Vec::<String>::new());
        // Terms that passed before anybody could tell who led in them are nobody's news.
        events.term_began(2, Index(7), Timestamp(6));
        events.term_began(3, Index(8), Timestamp(7));
        events.leads(3, "n2".into(), "node2".into());
        let read = reader.take();
        assert!(matches!(read, Some(Read::Event(event)) if event.index == Index(8) && event.detail == "leads in term 3"));
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let events = Events::default();
        let mut reader = events.reader(Begin::Now);
        events.push([Event { detail: "ü".repeat(EVENT_DETAIL_BYTES_MAX), ..event(1) }]);
        let Some(Read::Event(event)) = reader.take() else { panic!("an event") };
        assert!(event.detail.len() <= EVENT_DETAIL_BYTES_MAX && event.detail.len() > EVENT_DETAIL_BYTES_MAX - 2);
    }
}
