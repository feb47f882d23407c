//! Names as a task asks for them.
use std::net::IpAddr;
use std::sync::Arc;

use minicloud_core::spec::EndpointMode;
use minicloud_net::{NetError, NoUplink, Switch};

use crate::support::{AWAY, BLUE, GREEN, HOME, attach, ip, routes};

fn world() -> Switch {
    let switch = Switch::new(HOME, Arc::new(NoUplink));
    let routes = routes()
        .service(1, "rng", &[BLUE, GREEN], &[(1, HOME), (2, AWAY)])
        .service(2, "direct", &[BLUE], &[(3, HOME), (4, AWAY)])
        .change(2, |service| service.endpoint_mode = EndpointMode::Dnsrr)
        .service(3, "idle", &[BLUE], &[])
        .change(3, |service| service.endpoint_mode = EndpointMode::Dnsrr);
    switch.set_routes(routes.build());
    switch
}

#[tokio::test]
async fn every_form_of_a_name_leads_to_the_service_or_its_tasks() {
    let switch = world();
    let net = attach(&switch, 9, &[BLUE]);
    let vip = vec![IpAddr::V4(ip(BLUE, 201))];
    for name in ["rng", "RNG", "rng.", "rng-alias", "rng.blue", "rng.blue.minicloud", "Rng.Blue.Minicloud."] {
        assert_eq!(net.resolve(name), Ok(vip.clone()), "{name}");
    }
    let tasks = vec![IpAddr::V4(ip(BLUE, 1)), IpAddr::V4(ip(BLUE, 2))];
    for name in ["tasks.rng", "tasks.rng.blue", "tasks.rng.blue.minicloud"] {
        assert_eq!(net.resolve(name), Ok(tasks.clone()), "{name}");
    }
    assert_eq!(net.resolve("direct"), Ok(vec![ip(BLUE, 3).into(), ip(BLUE, 4).into()]));
    for name in ["", ".", "rng.green", "green", "tasks", "tasks.", "tasks.none", "rng.minicloud", "idle", "a..b"] {
        assert_eq!(net.resolve(name), Err(NetError::NameNotFound), "{name}");
    }
}

#[tokio::test]
async fn a_name_leads_to_the_network_it_is_asked_on() {
    let switch = world();
    assert_eq!(switch.resolve(&[GREEN], "rng"), Ok(vec![ip(GREEN, 201)]));
    assert_eq!(switch.resolve_on(BLUE, "rng"), Ok(vec![ip(BLUE, 201)]));
    assert_eq!(switch.resolve(&[GREEN, BLUE], "direct"), Ok(vec![ip(BLUE, 3), ip(BLUE, 4)]));
    assert_eq!(switch.resolve(&[], "rng"), Err(NetError::NameNotFound));
}

#[tokio::test]
async fn a_task_finds_itself_and_literal_addresses() {
    let switch = world();
    let net = attach(&switch, 9, &[BLUE]).with_hostname("Worker-1");
    assert_eq!(net.resolve("worker-1"), Ok(vec![ip(BLUE, 9).into()]));
    assert_eq!(attach(&switch, 8, &[]).with_hostname("alone").resolve("alone"), Ok(vec!["127.0.0.1".parse().unwrap()]));
    assert_eq!(net.resolve("localhost.").unwrap()[0], "127.0.0.1".parse::<IpAddr>().unwrap());
    for literal in ["10.1.2.3", "::1", "[::1]"] {
        assert_eq!(net.resolve(literal), Ok(vec![literal.trim_matches(['[', ']']).parse().unwrap()]));
    }
}
