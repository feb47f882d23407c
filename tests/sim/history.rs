//! What clients did and saw, and whether one order of it all explains it.
//!
//! Every write adds an element of its own to a set that nothing is taken from. Such a history is linearizable
//! exactly if reads contain all that was acknowledged before them, nothing that was not asked for yet or certainly
//! refused, and one another in an order that agrees with time.
use std::collections::{BTreeMap, BTreeSet};

/// A point in the real order of invocations and answers.
pub type Tick = u64;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done(Tick),
    NotDone,
    /// Or not yet at all.
    Unknown,
}

struct Write {
    invoked: Tick,
    ended: Ended,
}

struct Read {
    invoked: Tick,
    answered: Tick,
    seen: BTreeSet<u64>,
}

#[derive(Default)]
pub struct History {
    tick: Tick,
    writes: BTreeMap<u64, Write>,
    reads: Vec<Read>,
}

impl History {
    pub fn tick(&mut self) -> Tick {
        self.tick += 1;
        self.tick
    }

    pub fn write(&mut self, element: u64) {
        let invoked = self.tick();
        self.writes.insert(element, Write { invoked, ended: Ended::Unknown });
    }

    pub fn done(&mut self, element: u64) {
        let tick = self.tick();
        self.ended(element, Ended::Done(tick));
    }

    pub fn not_done(&mut self, element: u64) {
        self.ended(element, Ended::NotDone);
    }

    fn ended(&mut self, element: u64, ended: Ended) {
        self.writes.get_mut(&element).expect("the write was invoked").ended = ended;
    }

    pub fn read(&mut self, invoked: Tick, seen: BTreeSet<u64>) {
        let answered = self.tick();
        self.reads.push(Read { invoked, answered, seen });
    }

    /// How many writes were acknowledged, refused and left open, and how many reads answered.
    pub fn counts(&self) -> (usize, usize, usize, usize) {
        let count = |wanted: fn(&Ended) -> bool| self.writes.values().filter(|write| wanted(&write.ended)).count();
        let done = count(|ended| matches!(ended, Ended::Done(_)));
        (done, count(|ended| *ended == Ended::NotDone), count(|ended| *ended == Ended::Unknown), self.reads.len())
    }

    /// Everything acknowledged.
    pub fn acknowledged(&self) -> BTreeSet<u64> {
        self.writes.iter().filter(|(_, write)| matches!(write.ended, Ended::Done(_))).map(|(element, _)| *element).collect()
    }

    /// What no order explains; empty for a linearizable history.
    pub fn violations(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for read in &self.reads {
            for (element, write) in &self.writes {
                let seen = read.seen.contains(element);
                match write.ended {
                    Ended::Done(at) if at < read.invoked && !seen => {
                        wrong.push(format!("lost: a read misses {element}, acknowledged before it"))
                    }
                    Ended::NotDone if seen => wrong.push(format!("{element} was reported as certainly not done, and a read shows it")),
                    _ if seen && write.invoked > read.answered => wrong.push(format!("a read shows {element} before it was asked for")),
                    _ => {}
                }
            }
            wrong.extend(
                read.seen.iter().filter(|element| !self.writes.contains_key(element)).map(|element| format!("{element} from nowhere")),
            );
        }
        self.order_violations(&mut wrong);
        wrong
    }

    fn order_violations(&self, wrong: &mut Vec<String>) {
        let mut by_size: Vec<&Read> = self.reads.iter().collect();
        by_size.sort_by_key(|read| read.seen.len());
        for pair in by_size.windows(2) {
            if !pair[0].seen.is_subset(&pair[1].seen) {
                wrong.push("two reads saw different orders of writes".to_owned());
            }
        }
        let mut by_answer: Vec<&Read> = self.reads.iter().collect();
        by_answer.sort_by_key(|read| read.answered);
        let mut by_start = self.reads.iter().collect::<Vec<_>>();
        by_start.sort_by_key(|read| read.invoked);
        let (mut earlier, mut most) = (by_answer.into_iter().peekable(), 0);
        for read in by_start {
            while let Some(before) = earlier.next_if(|before| before.answered < read.invoked) {
                most = most.max(before.seen.len());
            }
            if read.seen.len() < most {
                wrong.push(format!("stale: a read saw {} elements after another had answered {most}", read.seen.len()));
            }
        }
    }
}

#[test]
fn a_history_that_lost_a_write_is_found_out() {
    let mut history = History::default();
    history.write(1);
    history.done(1);
    let tick = history.tick();
    history.read(tick, BTreeSet::new());
    assert_eq!(history.violations().len(), 1);
}

#[test]
fn a_stale_read_and_a_refused_write_are_found_out() {
    let mut history = History::default();
    history.write(1);
    let first = history.tick();
    history.read(first, BTreeSet::from([1]));
    let second = history.tick();
    history.read(second, BTreeSet::new());
    assert!(history.violations().iter().any(|text| text.starts_with("stale")), "{:?}", history.violations());
    history.not_done(1);
    assert!(history.violations().iter().any(|text| text.contains("certainly not done")));
}
