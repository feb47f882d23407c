//! The keys that scripts read: every listing's JSON has them, with a value of the right kind.
use serde_json::Value;

use crate::support::{Cluster, Node, deploy};

/// Whether a value is of the kind that its key promises.
type Kind = fn(&Value) -> bool;

/// Fails unless the first row has each of these keys and a value of that kind.
#[track_caller]
fn check(node: &Node, args: &[&str], keys: &[(&str, Kind)]) {
    let rows = node.json(args).unwrap_or_else(|| panic!("{args:?} gives no JSON"));
    let row = if rows.is_array() { &rows[0] } else { &rows };
    for (key, kind) in keys {
        let value = row.get(key).unwrap_or_else(|| panic!("{args:?}: '{key}' is missing in {row}"));
        assert!(kind(value), "{args:?}: '{key}' is {value}");
    }
    let snake = |key: &String| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    assert!(row.as_object().unwrap().keys().all(snake), "{args:?}: {row}");
}

#[test]
fn every_listing_has_its_stable_keys() {
    let cluster = Cluster::found();
    let node = &cluster.nodes[0];
    deploy(node);
    node.ok(&["volume", "create", "data"]);
    let text: Kind = |value| value.as_str().is_some_and(|text| !text.is_empty());
    let (list, flag, number): (Kind, Kind, Kind) = (Value::is_array, Value::is_boolean, Value::is_u64);
    let any: Kind = |_| true;
    let nodes = [
        ("id", text),
        ("hostname", text),
        ("self", flag),
        ("status", text),
        ("availability", text),
        ("role", text),
        ("manager_status", text),
        ("address", text),
    ];
    let services = [
        ("id", text),
        ("name", text),
        ("mode", text),
        ("replicas_running", number),
        ("replicas_desired", number),
        ("image", text),
        ("ports", list),
    ];
    let tasks = [
        ("id", text),
        ("name", text),
        ("slot", number),
        ("image", text),
        ("node", text),
        ("desired_state", text),
        ("current_state", text),
        ("error", Value::is_string),
        ("addresses", list),
    ];
    let networks =
        [("id", text), ("name", text), ("driver", text), ("scope", text), ("subnet", text), ("internal", flag), ("attachable", flag)];
    let volumes = [("id", text), ("name", text), ("driver", text), ("node", any)];
    check(node, &["node", "ls"], &nodes);
    check(node, &["node", "inspect", "self"], &nodes);
    check(node, &["node", "ps"], &tasks);
    check(node, &["service", "ls"], &services);
    check(node, &["service", "inspect", "rng"], &services);
    check(node, &["service", "ps", "rng"], &tasks);
    check(node, &["network", "ls"], &networks);
    check(node, &["network", "inspect", "dockercoins"], &networks);
    check(node, &["volume", "ls"], &volumes);
    check(node, &["volume", "inspect", "data"], &volumes);
    check(node, &["info"], &[("node_id", text), ("cluster_id", text), ("role", text), ("nodes", number), ("pid", number)]);
    check(node, &["version"], &[("client", text), ("node", Value::is_object)]);
    let row = &node.json(&["node", "ls"]).unwrap()[0];
    assert_eq!((&row["self"], &row["status"], &row["manager_status"]), (&true.into(), &"ready".into(), &"leader".into()));
}
