//! Whatever other nodes send and guests ask, nothing panics, and nothing reaches whom it is not for.
use std::net::{IpAddr, SocketAddr};

use minicloud_core::id::{NetworkId, TaskId};
use minicloud_net::{DatagramHeader, DoorId, Passage, StreamHeader, limits};
use proptest::prelude::*;

use crate::support::{AWAY, BLUE, any as unspecified, at, two_tasks};

fn address() -> impl Strategy<Value = SocketAddr> {
    let near = (0..4u64, prop_oneof![Just(53), Just(80), 0..100u16]).prop_map(|(host, port)| at(BLUE, host, port));
    prop_oneof![near, (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)]
}

fn passage() -> impl Strategy<Value = Passage> {
    let door = || (0..3u64).prop_map(DoorId);
    prop_oneof![Just(Passage::Within), door().prop_map(Passage::Inward), door().prop_map(Passage::Outward)]
}

proptest! {
    #[test]
    fn headers_of_any_kind_do_no_harm(
        network in prop_oneof![Just(BLUE), (0..30u64).prop_map(NetworkId)],
        source in address(),
        destination in address(),
        task in (0..4u64).prop_map(TaskId),
        passage in passage(),
        bytes in prop_oneof![0..2_000usize, limits::DATAGRAM_BYTES_MAX - 1..limits::DATAGRAM_BYTES_MAX + 3],
    ) {
        let (switch, _first, second) = two_tasks();
        let _door = switch.open_door();
        let (socket, listener) = (second.bind_udp(unspecified(53)).unwrap(), second.listen(unspecified(80), 4).unwrap());
        switch.deliver_datagram(AWAY, DatagramHeader { network, source, destination, task, passage }, vec![7; bytes].into());
        let meant = network == BLUE && task == second.task() && destination == at(BLUE, 2, 53);
        if let Some(datagram) = socket.try_receive().unwrap() {
            prop_assert!(meant && bytes <= limits::DATAGRAM_BYTES_MAX);
            // Whoever it seems to be from may be answered, or not.
            let _ = socket.send_to(datagram.payload, datagram.source);
        }
        let delivered = switch.deliver(StreamHeader { network, source, destination, task }).is_ok();
        prop_assert_eq!(delivered, network == BLUE && task == second.task() && destination == at(BLUE, 2, 80));
        prop_assert_eq!(listener.try_accept().unwrap().is_some(), delivered);
    }

    #[test]
    fn names_of_any_kind_do_no_harm(name in ".{0,300}") {
        let (_switch, first, _second) = two_tasks();
        if let Ok(addresses) = first.resolve(&name) {
            prop_assert!(!addresses.is_empty());
        }
    }
}
