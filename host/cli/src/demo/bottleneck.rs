//! Which service holds the others up, read off the admission queues.
use std::collections::BTreeMap;

use minicloud_core::id::TaskId;
use minicloud_core::task::TaskUsage;
use minicloud_node::api::types::ServiceUsage;

/// From this share of its time on, a service whose admissions are all taken is what the others wait for.
const BUSY_PERCENT_MIN: u64 = 90;

/// A service that could not take more than it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    pub service: String,
    pub tasks: usize,
    /// Requests that one task takes at once.
    pub concurrency: u32,
    /// Share of the time in which every admission was taken, mean over its tasks.
    pub busy_percent: u64,
    pub waiting: u32,
}

impl Bottleneck {
    pub fn sentence(&self) -> String {
        let tasks = if self.tasks == 1 { "1 task".to_owned() } else { format!("{} tasks", self.tasks) };
        let each = if self.tasks == 1 { "" } else { " each" };
        let at_once = match self.concurrency {
            1 => format!("one request at a time{each}"),
            many => format!("{many} requests at a time{each}"),
        };
        format!(
            "{}: {tasks}, {at_once}, {} % busy, {} waiting: add tasks or run it globally",
            self.service, self.busy_percent, self.waiting
        )
    }
}

/// Counters of an earlier look.
pub type Earlier = BTreeMap<TaskId, TaskUsage>;

/// The counters of a look, for the next one.
pub fn remember(services: &[ServiceUsage]) -> Earlier {
    services.iter().flat_map(|service| &service.tasks).filter_map(|task| Some((task.id, task.usage?))).collect()
}

/// The busiest service that is at its limit since the earlier look, if any is.
pub fn find(earlier: &Earlier, services: &[ServiceUsage]) -> Option<Bottleneck> {
    let candidates = services.iter().filter_map(|service| saturation(earlier, service));
    candidates
        .filter(|candidate| candidate.busy_percent >= BUSY_PERCENT_MIN)
        .max_by_key(|candidate| (candidate.waiting, candidate.busy_percent))
}

fn saturation(earlier: &Earlier, service: &ServiceUsage) -> Option<Bottleneck> {
    let mut found = Bottleneck { service: service.service.clone(), tasks: 0, concurrency: 0, busy_percent: 0, waiting: 0 };
    let (mut saturated_us, mut passed_us) = (0, 0);
    for task in &service.tasks {
        let Some(now) = task.usage.filter(|usage| usage.concurrency > 0) else { continue };
        let before = earlier.get(&task.id).copied().unwrap_or_default();
        saturated_us += now.saturated_us.saturating_sub(before.saturated_us);
        passed_us += now.uptime_us.saturating_sub(before.uptime_us);
        found.tasks += 1;
        found.concurrency = now.concurrency;
        found.waiting += now.queued;
    }
    // Read a moment apart, the two counters may overshoot each other.
    found.busy_percent = (saturated_us * 100).checked_div(passed_us)?.min(100);
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use minicloud_node::api::types::TaskUsageLine;

    fn usage(service: &str, tasks: &[(u32, u64, u32)]) -> ServiceUsage {
        let line = |(at, (concurrency, saturated_us, queued)): (usize, &(u32, u64, u32))| TaskUsageLine {
            id: TaskId(at as u64),
            name: format!("{service}.{at}"),
            node: "node1".into(),
            usage: Some(TaskUsage {
                concurrency: *concurrency,
                saturated_us: *saturated_us,
                queued: *queued,
                uptime_us: 1_000_000,
                ..TaskUsage::default()
            }),
            ..TaskUsageLine::default()
        };
        ServiceUsage { service: service.into(), tasks: tasks.iter().enumerate().map(line).collect(), total: TaskUsage::default() }
    }

    #[test]
    fn a_saturated_service_is_named_with_its_queue() {
        let found = find(&Earlier::new(), &[usage("hasher", &[(128, 0, 0)]), usage("rng", &[(1, 1_000_000, 7)])]).unwrap();
        assert_eq!(found.sentence(), "rng: 1 task, one request at a time, 100 % busy, 7 waiting: add tasks or run it globally");
    }

    #[test]
    fn only_what_happened_since_the_earlier_look_counts() {
        let now = [usage("rng", &[(1, 1_000_000, 0)])];
        assert!(find(&Earlier::new(), &now).is_some());
        let mut earlier = remember(&now);
        earlier.values_mut().for_each(|usage| usage.uptime_us -= 500_000);
        assert_eq!(find(&earlier, &now), None);
    }

    #[test]
    fn idle_and_unbounded_services_hold_nobody_up() {
        assert_eq!(find(&Earlier::new(), &[usage("rng", &[(1, 600_000, 0)]), usage("web", &[(0, 0, 0)])]), None);
    }
}
