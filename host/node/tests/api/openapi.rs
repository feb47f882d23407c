//! The API's description of itself, as the daemon serves it.
use std::collections::BTreeSet;

use minicloud_node::api::socket;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::world::{LIMIT, World};

const PATHS: usize = 45;
const OPERATIONS: usize = 59;

/// The body of the answer to a plain request.
async fn ask(world: &World, method: &str, path: &str) -> String {
    let asking = async {
        let mut stream = UnixStream::connect(socket::path(world.directory.path())).await.unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
    };
    timeout(LIMIT, asking).await.expect("an answer in time")
}

/// Every `$ref` in a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| match value.as_str().filter(|_| key == "$ref") {
            Some(reference) => _ = found.insert(reference.to_owned()),
            None => references(value, found),
        }),
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_type_is_there() {
    let world = World::new().await;
    let description: Value = serde_json::from_str(&ask(&world, "GET", "/openapi.json").await).unwrap();
    let paths = description["paths"].as_object().unwrap();
    // Routes are made from the same list as the description; one beside that list would be missing.
    assert_eq!(include_str!("../../src/api.rs").matches(".route(").count(), 1, "only the description itself stands beside the list");
    let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!((paths.len(), operations), (PATHS, OPERATIONS), "{:#?}", paths.keys());
    for (path, operations) in paths {
        let refused = ask(&world, "PUT", &path.replace(['{', '}'], "")).await;
        assert!(refused.contains("cannot be asked to PUT"), "{path} is described and not there: {refused}");
        let named: BTreeSet<&str> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for operation in operations.as_object().unwrap().values() {
            assert!(operation["summary"].is_string() && operation["responses"].is_object(), "{path}");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
            assert_eq!(described.map(|parameter| parameter["name"].as_str().unwrap()).collect::<BTreeSet<_>>(), named, "{path}");
        }
    }
    let mut found = BTreeSet::new();
    references(&description, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for reference in found {
        assert!(description.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    world.end().await;
}
