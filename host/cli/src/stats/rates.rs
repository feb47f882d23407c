//! What happened between two answers of a node, per second of that node's own clock.
use minicloud_core::task::TaskUsage;
use minicloud_node::api::types::NodeUsage;
use serde::Serialize;

/// Rates of a task. Sums of them are those of several tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Of one core.
    pub cpu_percent: f64,
    pub requests_per_second: f64,
    pub received_bytes_per_second: f64,
    pub sent_bytes_per_second: f64,
}

impl Rates {
    /// Since the earlier answer; since the task started when there is none.
    pub fn of_task(before: Option<&TaskUsage>, now: &TaskUsage) -> Rates {
        // A counter that fell was begun anew.
        let before = before.filter(|before| before.uptime_us <= now.uptime_us).copied().unwrap_or_default();
        let seconds = seconds(before.uptime_us, now.uptime_us);
        let per_second = |before: u64, now: u64| rate(now.saturating_sub(before) as f64, seconds);
        Rates {
            cpu_percent: per_second(before.cpu_us, now.cpu_us) / 1e4,
            requests_per_second: per_second(before.requests, now.requests),
            received_bytes_per_second: per_second(before.received_bytes, now.received_bytes),
            sent_bytes_per_second: per_second(before.sent_bytes, now.sent_bytes),
        }
    }
}

impl std::iter::Sum for Rates {
    fn sum<I: Iterator<Item = Rates>>(rates: I) -> Rates {
        rates.fold(Rates::default(), |sum, one| Rates {
            cpu_percent: sum.cpu_percent + one.cpu_percent,
            requests_per_second: sum.requests_per_second + one.requests_per_second,
            received_bytes_per_second: sum.received_bytes_per_second + one.received_bytes_per_second,
            sent_bytes_per_second: sum.sent_bytes_per_second + one.sent_bytes_per_second,
        })
    }
}

/// CPU time of a node's process, in percent of one core.
pub fn cpu_percent_of_node(before: Option<&NodeUsage>, now: &NodeUsage) -> f64 {
    let before = before.filter(|before| before.uptime_us <= now.uptime_us).copied().unwrap_or_default();
    rate(now.cpu_us.saturating_sub(before.cpu_us) as f64, seconds(before.uptime_us, now.uptime_us)) / 1e4
}

fn seconds(before_us: u64, now_us: u64) -> f64 {
    (now_us - before_us) as f64 / 1e6
}

fn rate(count: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { count / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(uptime_us: u64, cpu_us: u64, requests: u64, received_bytes: u64) -> TaskUsage {
        TaskUsage { uptime_us, cpu_us, requests, received_bytes, ..TaskUsage::default() }
    }

    #[test]
    fn a_rate_is_the_difference_over_the_node_s_own_time() {
        let before = usage(1_000_000, 500_000, 10, 1_000);
        let now = usage(3_000_000, 1_500_000, 70, 1_000);
        let rates = Rates::of_task(Some(&before), &now);
        assert_eq!((rates.cpu_percent, rates.requests_per_second, rates.received_bytes_per_second), (50.0, 30.0, 0.0));
    }

    #[test]
    fn without_an_earlier_answer_it_is_the_mean_since_the_start() {
        assert_eq!(Rates::of_task(None, &usage(2_000_000, 0, 10, 0)).requests_per_second, 5.0);
        assert_eq!(Rates::of_task(None, &usage(0, 0, 0, 0)), Rates::default());
    }

    #[test]
    fn two_answers_at_the_same_time_and_counters_begun_anew_are_no_rate_from_nowhere() {
        let now = usage(1_000_000, 10, 10, 10);
        assert_eq!(Rates::of_task(Some(&now), &now), Rates::default());
        let began_anew = usage(500_000, 0, 5, 0);
        assert_eq!(Rates::of_task(Some(&now), &began_anew).requests_per_second, 10.0);
    }

    #[test]
    fn a_node_on_two_cores_has_two_hundred_percent() {
        let before = NodeUsage { uptime_us: 0, cpu_us: 100, ..NodeUsage::default() };
        let now = NodeUsage { uptime_us: 500_000, cpu_us: 1_000_100, ..NodeUsage::default() };
        assert_eq!(cpu_percent_of_node(Some(&before), &now), 200.0);
    }
}
