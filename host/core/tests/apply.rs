//! What `apply` promises whatever the command: once per index, once per key, and a bounded memory of its answers.
use minicloud_core::command::{Command, Rejection, Request};
use minicloud_core::id::{Index, NetworkId, RequestKey, VolumeId};
use minicloud_core::limits;
use minicloud_core::spec::{Labels, NetworkSpec, VolumeSpec};
use minicloud_core::state::{Availability, ClusterState, Role, Row, RowKey};
use minicloud_core::time::Timestamp;

fn create_network(key: Option<u64>, id: u64, name: &str) -> Request {
    let spec = NetworkSpec { name: name.to_owned(), labels: Labels::new(), subnet: None, internal: false, attachable: false };
    Request { at: Timestamp(id), key: key.map(RequestKey), command: Command::CreateNetwork { id: NetworkId(id), spec } }
}

#[test]
fn an_index_is_applied_once() {
    let mut state = ClusterState::default();
    let (first, touched) = state.apply(Index(5), &create_network(None, 1, "front"));
    assert_eq!(first.map(|applied| applied.index), Ok(Index(5)));
    assert_eq!(touched, [RowKey::Network(NetworkId(1))]);
    let before = state.clone();
    for index in [5, 4] {
        let (again, touched) = state.apply(Index(index), &create_network(None, 2, "back"));
        assert!(again.is_ok());
        assert_eq!(touched, []);
    }
    assert_eq!(state, before);
}

#[test]
fn a_retry_gets_the_first_answer_and_does_nothing() {
    let mut state = ClusterState::default();
    let (first, touched) = state.apply(Index(1), &create_network(Some(7), 1, "front"));
    assert_eq!(touched, [RowKey::Network(NetworkId(1)), RowKey::Answer(RequestKey(7))]);
    let (refused, touched) = state.apply(Index(2), &create_network(Some(8), 2, "front"));
    assert!(matches!(refused, Err(Rejection::Conflict(_))));
    assert_eq!(touched, [RowKey::Answer(RequestKey(8))]);
    for (key, answer) in [(7, first), (8, refused)] {
        let index = Index(state.index.0 + 1);
        assert_eq!(state.apply(index, &create_network(Some(key), 3, "other")), (answer, Vec::new()));
        assert_eq!(state.index, index);
    }
    assert_eq!(state.networks.len(), 1);
}

#[test]
fn only_the_last_answers_are_kept() {
    let mut state = ClusterState::default();
    let most = limits::REQUEST_ANSWERS_MAX as u64;
    let mut stored = ClusterState::default();
    for number in 1..=most + 10 {
        // Keys fall while indexes rise: the oldest goes, not the smallest.
        let (_, touched) = state.apply(Index(number), &create_network(Some(1_000_000 - number), 1, "front"));
        for key in touched {
            match state.row(key) {
                Some(row) => stored.put_row(row),
                None => stored.remove_row(key),
            }
        }
        stored.set_index(Index(number));
    }
    assert_eq!(state.answers.len(), limits::REQUEST_ANSWERS_MAX);
    assert!(!state.answers.contains_key(&RequestKey(1_000_000 - 10)));
    assert!(state.answers.contains_key(&RequestKey(1_000_000 - 11)));
    assert_eq!(stored, state);
}

#[test]
fn rows_rebuild_the_state_and_know_their_keys() {
    let mut state = ClusterState::default();
    state.apply(Index(1), &create_network(Some(7), 1, "front")).0.expect("a new network");
    let mut anew = ClusterState::default();
    for (key, row) in state.rows() {
        assert_eq!(row.key(), key);
        assert_eq!(state.row(key), Some(row.clone()));
        let text = serde_json::to_string(&row).expect("a row can be written");
        anew.put_row(serde_json::from_str::<Row>(&text).expect("a written row can be read"));
    }
    anew.set_index(state.index);
    assert_eq!(anew, state);
    for (key, _) in state.rows() {
        anew.remove_row(key);
    }
    assert_eq!(anew.rows().count(), 0);
}

#[test]
fn a_volume_is_forgotten_once_its_node_has_removed_the_data() {
    let mut state = ClusterState::default();
    let mut apply = |command| {
        let index = Index(state.index.0 + 1);
        let outcome = state.apply(index, &Request { at: Timestamp(index.0), key: None, command }).0;
        (outcome, state.clone())
    };
    let node = |number| Command::AddNode {
        hostname: format!("host{number}"),
        role: Role::Worker,
        availability: Availability::Active,
        address: ([127, 0, 0, number], 2377).into(),
    };
    let create =
        |id, node| Command::CreateVolume { id: VolumeId(id), spec: VolumeSpec { name: "data".into(), labels: Labels::new(), node } };
    let holder = apply(node(1)).0.unwrap().node.unwrap();
    let other = apply(node(2)).0.unwrap().node.unwrap();
    apply(create(1, Some(holder))).0.unwrap();

    let (_, state) = apply(Command::RemoveVolume { id: VolumeId(1) });
    assert!(state.find_volume("data").is_err() && state.find_volume(&VolumeId(1).to_string()).is_err());
    assert_eq!((state.volumes_leaving(holder), state.volumes_leaving(other)), (vec![VolumeId(1)], vec![]));
    assert!(matches!(apply(Command::RemoveVolume { id: VolumeId(1) }).0, Err(Rejection::NotFound(_))));

    // The name is free at once, and what is in use is not forgotten, whoever asks.
    apply(create(2, Some(holder))).0.unwrap();
    let (_, state) = apply(Command::ForgetVolumes { node: other, volumes: vec![VolumeId(1)] });
    assert_eq!(state.volumes.len(), 2);
    let (_, state) = apply(Command::ForgetVolumes { node: holder, volumes: vec![VolumeId(1), VolumeId(2)] });
    assert_eq!(state.volumes.keys().copied().collect::<Vec<_>>(), [VolumeId(2)]);
    assert_eq!(minicloud_core::check::check(&state), []);

    // A node that is gone removes nothing any more.
    apply(Command::RemoveVolume { id: VolumeId(2) }).0.unwrap();
    let (_, state) = apply(Command::RemoveNode { node: holder, force: true });
    assert!(state.volumes.is_empty());
    let (_, state) = apply(create(3, None));
    assert_eq!(state.volumes.len(), 1);
    assert!(apply(Command::RemoveVolume { id: VolumeId(3) }).1.volumes.is_empty(), "nobody holds its data");
}
