//! Points in time: `10m` ago, `2026-01-31T14:00:00Z`, or seconds since 1970.
use jiff::{Timestamp, civil, tz::TimeZone};

use super::duration_ms;

/// A point in time, in ms since the epoch, or this long before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    At(u64),
    Ago(u64),
}

impl Since {
    /// Milliseconds since the epoch.
    pub fn at_ms(self, now_ms: u64) -> u64 {
        match self {
            Since::At(at) => at,
            Since::Ago(ago) => now_ms.saturating_sub(ago),
        }
    }
}

/// A time without an offset is local.
pub fn since(text: &str) -> Result<Since, String> {
    let fail = || format!("'{text}' is no point in time; write for example 10m or 2026-01-31T14:00:00Z");
    if let Ok(seconds) = text.parse::<f64>() {
        let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        return if plain { Ok(Since::At((seconds * 1000.0) as u64)) } else { Err(fail()) };
    }
    if let Ok(ago) = duration_ms(text) {
        return Ok(Since::Ago(ago));
    }
    let at = match (text.parse::<Timestamp>(), text.parse::<civil::DateTime>()) {
        (Ok(at), _) => at,
        (_, Ok(local)) => local.to_zoned(TimeZone::system()).map_err(|_| fail())?.timestamp(),
        _ => return Err(fail()),
    };
    Ok(Since::At(u64::try_from(at.as_millisecond()).map_err(|_| fail())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_or_absolute() {
        assert_eq!(since("10m"), Ok(Since::Ago(600_000)));
        assert_eq!(since("1970-01-02T00:00:00Z"), Ok(Since::At(86_400_000)));
        assert_eq!(since("1970-01-02T01:00:00+01:00"), Ok(Since::At(86_400_000)));
        assert_eq!(since("86400"), Ok(Since::At(86_400_000)));
        assert_eq!(since("86400.5"), Ok(Since::At(86_400_500)));
        assert!(matches!(since("2026-01-31T14:00:00"), Ok(Since::At(_))));
        assert!(matches!(since("2026-01-31"), Ok(Since::At(_))));
        assert_eq!(Since::Ago(600).at_ms(1_000), 400);
        assert_eq!(Since::Ago(600).at_ms(100), 0);
    }

    #[test]
    fn what_is_no_time_shows_one() {
        for text in ["", "yesterday", "2026-13-01", "-5", "inf", "1e9", "-10m"] {
            assert!(since(text).unwrap_err().contains("for example 10m"), "{text}");
        }
    }
}
