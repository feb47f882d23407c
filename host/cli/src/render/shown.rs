//! Times, sizes and ports as people read them.
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use minicloud_core::spec::{Protocol, PublishMode, PublishedPort};
use minicloud_core::time::Timestamp;

/// The clock, in ms since the epoch.
pub fn milliseconds_now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// `3 seconds ago`, in Docker's words.
pub fn ago(then: Timestamp, now_ms: u64) -> String {
    format!("{} ago", duration(Timestamp(now_ms).since(then)).to_lowercase())
}

/// A duration in the largest unit that fits.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{minutes} minutes"),
        3600..7200 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / (24 * 7)),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / (24 * 30)),
        _ => format!("{} years", hours / (24 * 365)),
    }
}

/// `2026-01-31T14:00:00.000Z`
pub fn iso_time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| at_ms.to_string(), |at| format!("{at:.3}"))
}

/// `64 MiB`
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut shown = bytes as f64;
    while shown >= 1024.0 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    let text = format!("{shown:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// Thousandths of a core as cores.
pub fn cores(millis: u32) -> String {
    format!("{}", f64::from(millis) / 1000.0)
}

/// `*:8000->80/tcp, 127.0.0.1:53->53/udp`
pub fn ports(ports: &[PublishedPort]) -> String {
    let shown: Vec<String> = ports.iter().map(port).collect();
    shown.join(", ")
}

fn port(port: &PublishedPort) -> String {
    let address = match port.address {
        Some(address) if address.is_ipv6() => format!("[{address}]"),
        Some(address) => address.to_string(),
        None => "*".to_owned(),
    };
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    let published = if port.published == 0 { "?".to_owned() } else { port.published.to_string() };
    let mode = if port.mode == PublishMode::Host { " (host)" } else { "" };
    format!("{address}:{published}->{}/{protocol}{mode}", port.target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_docker_s_words() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (120, "2 minutes"),
            (3_599, "59 minutes"),
            (3_600, "About an hour"),
            (7_200, "2 hours"),
            (47 * 3_600, "47 hours"),
            (48 * 3_600, "2 days"),
            (14 * 86_400, "2 weeks"),
            (60 * 86_400, "2 months"),
            (3 * 365 * 86_400, "3 years"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(ago(Timestamp(1_000), 4_000), "3 seconds ago");
        assert_eq!(ago(Timestamp(4_000), 1_000), "less than a second ago");
    }

    #[test]
    fn sizes_and_times() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(cores(1_500), "1.5");
        assert_eq!(iso_time(86_400_005), "1970-01-02T00:00:00.005Z");
    }

    #[test]
    fn published_ports() {
        let port = PublishedPort { published: 8000, target: 80, protocol: Protocol::Tcp, mode: PublishMode::Ingress, address: None };
        let other = PublishedPort { protocol: Protocol::Udp, address: Some("::1".parse().unwrap()), mode: PublishMode::Host, ..port };
        assert_eq!(ports(&[port, other]), "*:8000->80/tcp, [::1]:8000->80/udp (host)");
        assert_eq!(ports(&[PublishedPort { published: 0, ..port }]), "*:?->80/tcp");
    }
}
