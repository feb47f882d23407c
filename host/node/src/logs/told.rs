//! How far the log of one task was told, so that another reading can go on from there: its lines are in order of time.
use super::LogRecord;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub last_ms: Option<u64>,
    /// Lines of that last millisecond.
    at_last_ms: u64,
}

impl Told {
    pub fn count(&mut self, record: &LogRecord) {
        let same = self.last_ms == Some(record.at_ms);
        *self = Told { last_ms: Some(record.at_ms), at_last_ms: if same { self.at_last_ms + 1 } else { 1 } };
    }

    /// Whether the line was told before; each is asked about once, in the order of a reading from the beginning.
    pub fn had(&mut self, record: &LogRecord) -> bool {
        let Some(last_ms) = self.last_ms else { return false };
        let had = record.at_ms < last_ms || (record.at_ms == last_ms && self.at_last_ms > 0);
        self.at_last_ms -= u64::from(had && record.at_ms == last_ms);
        had
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::task::LogStream;

    use super::*;

    #[test]
    fn a_reading_goes_on_within_a_millisecond() {
        let line = |at_ms| LogRecord { at_ms, stream: LogStream::Stdout, text: String::new() };
        let mut told = Told::default();
        assert!(!told.had(&line(0)));
        [1, 2, 2].into_iter().for_each(|at_ms| told.count(&line(at_ms)));
        let again: Vec<bool> = [1, 2, 2, 2, 3].into_iter().map(|at_ms| told.had(&line(at_ms))).collect();
        assert_eq!(again, [true, true, true, false, false]);
    }
}
