//! What was passed over while a tree was read.
use std::cell::RefCell;

use crate::place::{Place, Warning};

/// Each key once with the number of its places.
#[derive(Default)]
pub struct Ignored {
    keys: RefCell<Vec<IgnoredKey>>,
}

struct IgnoredKey {
    of: &'static str,
    key: String,
    at: Place,
    why: &'static str,
    times: usize,
}

impl Ignored {
    pub(super) fn note(&self, of: &'static str, key: &str, at: &Place, why: &'static str) {
        let mut keys = self.keys.borrow_mut();
        match keys.iter_mut().find(|known| known.of == of && known.key == key) {
            Some(known) => known.times += 1,
            None => keys.push(IgnoredKey { of, key: key.to_owned(), at: at.clone(), why, times: 1 }),
        }
    }

    pub fn warnings(self) -> Vec<Warning> {
        let text = |ignored: &IgnoredKey| {
            let more = match ignored.times {
                1 => String::new(),
                2 => " (and in 1 more place)".to_owned(),
                times => format!(" (and in {} more places)", times - 1),
            };
            format!("'{}' means nothing here: {}{more}", ignored.key, ignored.why)
        };
        self.keys.into_inner().iter().map(|ignored| Warning::at(&ignored.at, text(ignored))).collect()
    }
}
