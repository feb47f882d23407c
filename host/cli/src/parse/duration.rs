//! Durations: `500ms`, `5s`, `1m30s`.
use jiff::SignedDuration;

/// A duration in milliseconds. A bare number has no meaning but 0: it could be anything.
pub fn duration_ms(text: &str) -> Result<u64, String> {
    if text == "0" {
        return Ok(0);
    }
    let fail = || format!("'{text}' is no duration; write for example 500ms, 5s or 1m30s");
    let duration: SignedDuration = text.parse().map_err(|_| fail())?;
    let milliseconds = u64::try_from(duration.as_millis()).map_err(|_| fail())?;
    if milliseconds == 0 && !duration.is_zero() {
        return Err(format!("'{text}' is too short; the least duration is 1ms"));
    }
    Ok(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, milliseconds) in
            [("0", 0), ("0s", 0), ("500ms", 500), ("5s", 5_000), ("1.5s", 1_500), ("1m30s", 90_000), ("2h", 7_200_000), ("1h5m", 3_900_000)]
        {
            assert_eq!(duration_ms(text), Ok(milliseconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_shows_one() {
        for text in ["", "5", "s", "-5s", "5x", "soon", "1s1h", "99999999999999999999s"] {
            assert_eq!(duration_ms(text), Err(format!("'{text}' is no duration; write for example 500ms, 5s or 1m30s")));
        }
        assert!(duration_ms("5us").unwrap_err().contains("too short"));
    }
}
