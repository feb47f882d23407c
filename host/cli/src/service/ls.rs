//! `service ls`
use clap::Args;
use minicloud_node::api::types::{Mode, ServiceSummary};
use minicloud_node::client::Client;

use crate::render::{Listed, Listing, ports};

#[derive(Args, Debug)]
pub struct Ls {
    #[command(flatten)]
    listing: Listing,
}

impl Ls {
    pub async fn run(self, client: &Client) -> anyhow::Result<()> {
        self.listing.print(client.services().await?)
    }
}

impl Listed for ServiceSummary {
    const COLUMNS: &'static [&'static str] = &["ID", "NAME", "MODE", "REPLICAS", "IMAGE", "PORTS"];
    const FILTERS: &'static [&'static str] = &["id", "name", "mode"];

    fn cells(&self) -> Vec<String> {
        let done = self.job.map_or_else(String::new, |job| format!(" ({}/{} completed)", job.completed, job.total));
        let replicas = format!("{}/{}{done}", self.replicas_running, self.replicas_desired);
        vec![self.id.to_string(), self.name.clone(), mode(self.mode).to_owned(), replicas, self.image.clone(), ports(&self.ports)]
    }

    fn handle(&self) -> String {
        self.id.to_string()
    }

    fn fits(&self, key: &str, value: &str) -> bool {
        match key {
            "id" => self.id.to_string().starts_with(value),
            "name" => self.name.starts_with(value),
            _ => mode(self.mode) == value || mode(self.mode).replace(' ', "-") == value,
        }
    }
}

pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Replicated => "replicated",
        Mode::Global => "global",
        Mode::ReplicatedJob => "replicated job",
        Mode::GlobalJob => "global job",
    }
}

#[cfg(test)]
mod tests {
    use minicloud_core::id::ServiceId;
    use minicloud_core::spec::PublishedPort;
    use minicloud_node::api::types::JobCount;

    use super::*;
    use crate::render::table;

    #[test]
    fn the_table_is_docker_s() {
        let port: PublishedPort = serde_json::from_str(r#"{"published": 8001, "target": 80}"#).unwrap();
        let rng = ServiceSummary {
            id: ServiceId(1),
            name: "rng".into(),
            mode: Mode::Replicated,
            replicas_running: 2,
            replicas_desired: 3,
            job: None,
            image: "rng".into(),
            ports: vec![port],
            labels: Default::default(),
        };
        let agent = ServiceSummary { id: ServiceId(36), name: "agent".into(), mode: Mode::Global, ports: Vec::new(), ..rng.clone() };
        let batch = ServiceSummary {
            id: ServiceId(37),
            name: "batch".into(),
            mode: Mode::ReplicatedJob,
            replicas_desired: 2,
            job: Some(JobCount { completed: 3, total: 5 }),
            ..agent.clone()
        };
        let expected = "\
ID             NAME    MODE             REPLICAS              IMAGE   PORTS
000000000001   rng     replicated       2/3                   rng     *:8001->80/tcp
000000000010   agent   global           2/3                   rng
000000000011   batch   replicated job   2/2 (3/5 completed)   rng";
        assert_eq!(table(ServiceSummary::COLUMNS, vec![rng.cells(), agent.cells(), batch.cells()]), expected);
        assert!(rng.fits("name", "rn") && !rng.fits("name", "ng") && agent.fits("mode", "global"));
        assert!(batch.fits("mode", "replicated-job") && !batch.fits("mode", "replicated"));
    }
}
