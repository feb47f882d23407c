//! Log lines on standard output, among them access logs in the common log format.

use std::fmt::Display;
use std::io::Write;

/// Writes one line; a log that cannot be written never stops a service.
pub fn line(text: impl Display) {
    let text = format!("{text}\n");
    // The reader of the log is gone: there is nobody left to tell.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// One line of the common log format, without its newline.
///
/// `seconds` are Unix seconds.
pub fn access(seconds: i64, client: Option<&str>, method: &str, path: &str, status: u16, bytes: usize) -> String {
    let time = common_time(seconds);
    let (client, method, path) = (printable(client.unwrap_or("-")), printable(method), printable(path));
    format!("{client} - - [{time}] \"{method} {path} HTTP/1.1\" {status} {bytes}")
}

/// `10/Oct/2000:13:55:36 +0000`, always in UTC.
fn common_time(seconds: i64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAY: i64 = 86_400;
    let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    let month = MONTHS[(month - 1) as usize];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The text with quotes and control characters escaped, so that no request can forge a log line.
fn printable(text: &str) -> String {
    text.escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_line_is_in_the_common_format() {
        let rest = "- - [10/Oct/2000:13:55:36 +0000] \"GET /32 HTTP/1.1\" 200 32";
        assert_eq!(access(971_186_136, None, "GET", "/32", 200, 32), format!("- {rest}"));
        assert_eq!(access(971_186_136, Some("2001:db8::7"), "GET", "/32", 200, 32), format!("2001:db8::7 {rest}"));
    }

    #[test]
    fn dates_before_the_epoch_and_leap_days() {
        assert_eq!(common_time(0), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(common_time(-1), "31/Dec/1969:23:59:59 +0000");
        assert_eq!(common_time(1_709_164_800), "29/Feb/2024:00:00:00 +0000");
    }

    #[test]
    fn a_request_cannot_forge_a_line() {
        let line = access(0, None, "GET", "/\n\"x", 404, 0);
        assert!(line.contains("/\\n\\\"x"), "{line}");
    }
}
