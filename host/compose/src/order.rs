//! In which order services start: those that others need come first.
use std::collections::{BTreeMap, BTreeSet};

use crate::place::{Error, Result};
use crate::project::Service;

/// Waves of services: each needs only services of earlier waves.
pub fn start_order(services: &[Service]) -> Result<Vec<Vec<&Service>>> {
    let present: BTreeSet<&str> = services.iter().map(|service| service.key.as_str()).collect();
    let needs = |service: &Service| -> BTreeSet<String> {
        service.needs.iter().map(|need| need.key.clone()).filter(|key| present.contains(key.as_str())).collect()
    };
    let mut waiting: BTreeMap<&str, (&Service, BTreeSet<String>)> =
        services.iter().map(|service| (service.key.as_str(), (service, needs(service)))).collect();
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let ready: Vec<&str> = waiting.iter().filter(|(_, (_, needs))| needs.is_empty()).map(|(key, _)| *key).collect();
        if ready.is_empty() {
            let names: Vec<&str> = waiting.keys().copied().collect();
            let at = waiting.values().next().map(|(service, _)| service.at.clone());
            return Err(Error { at, message: format!("services wait for each other: {}", names.join(", ")) });
        }
        let wave: Vec<&Service> = ready.iter().filter_map(|key| waiting.remove(key)).map(|(service, _)| service).collect();
        for (_, needs) in waiting.values_mut() {
            needs.retain(|need| !ready.contains(&need.as_str()));
        }
        waves.push(wave);
    }
    Ok(waves)
}
