//! Published ports that a node cannot open, for example because another program has them: said when a service is made.
use minicloud_node::client::Client;

/// One line for each node that does not listen; none for a service that publishes nothing.
pub async fn closed(client: &Client, service: &str) -> anyhow::Result<Vec<String>> {
    let problems = client.service(service).await?.port_problems;
    let line = |problem: &minicloud_node::api::types::PortProblem| {
        format!("port {} of service {service} is not open on {}: {}", problem.listen, problem.node, problem.error)
    };
    Ok(problems.iter().map(line).collect())
}
