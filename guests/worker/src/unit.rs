//! What a unit of work decides: when to report, and what is a coin. Pure; time is an argument.

use std::time::Duration;

/// Bytes asked of `rng` for one unit.
pub const BYTES_PER_UNIT: usize = 32;
/// Least time between two updates of the counter.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Units done since the last report, and when the next is due.
#[derive(Debug, Default)]
pub struct Counter {
    deadline: Option<Duration>,
    units: u64,
}

impl Counter {
    /// The units to report when a report is due: at once at first, then after more than a second.
    pub fn due(&self, now: Duration) -> Option<u64> {
        self.deadline.is_none_or(|deadline| now > deadline).then_some(self.units)
    }

    /// The report has been accepted; `now` is the time after it.
    pub fn reported(&mut self, now: Duration) {
        *self = Self { deadline: Some(now + REPORT_INTERVAL), units: 0 };
    }

    pub fn unit_done(&mut self) {
        self.units += 1;
    }
}

/// The digest in an answer of `hasher`, or `None` when that is not 64 hexadecimal digits.
pub fn digest(answer: Vec<u8>) -> Option<String> {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let valid = answer.len() == 64 && answer.iter().all(hex);
    String::from_utf8(answer).ok().filter(|_| valid)
}

/// One digest in sixteen is a coin.
pub fn is_coin(digest: &str) -> bool {
    digest.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_first_report_is_zero_units_at_once() {
        let counter = Counter::default();
        assert_eq!(counter.due(ms(0)), Some(0));
    }

    #[test]
    fn later_reports_wait_for_more_than_a_second() {
        let mut counter = Counter::default();
        counter.reported(ms(50));
        counter.unit_done();
        counter.unit_done();
        assert_eq!(counter.due(ms(1050)), None);
        counter.unit_done();
        assert_eq!(counter.due(ms(1051)), Some(3));
        counter.reported(ms(1052));
        assert_eq!(counter.due(ms(2053)), Some(0));
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_digest() {
        assert!(digest(b"0a".repeat(32)).is_some_and(|hex| is_coin(&hex)));
        assert!(digest(b"a0".repeat(32)).is_some_and(|hex| !is_coin(&hex)));
        for answer in [b"0a".repeat(31), b"0A".repeat(32), b"0g".repeat(32), Vec::new()] {
            assert_eq!(digest(answer), None);
        }
    }
}
