//! What the registry must survive: broken pushes, wrong digests, a node that falls, and blobs larger than its memory.
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::{Registry, digest, manifest};
use crate::support::wait_for;

const REPOSITORY: &str = "faults/main";
/// More than the memory that the registry may have.
const LARGE_BYTES: usize = 200 << 20;
/// The most that its task may hold, as the user sees it.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

#[test]
fn what_is_wrong_is_refused_and_leaves_nothing() {
    let registry = Registry::start();
    let wrong = digest(b"something else");
    let session = registry.begin(REPOSITORY);
    let answer = registry.send("PUT", &format!("{session}?digest={wrong}"), &[], b"content");
    assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (400, &"DIGEST_INVALID".into()));
    assert_eq!(registry.get(&session).status, 404, "the upload has ended");
    assert_eq!(registry.send("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/?digest={wrong}"), &[], b"content").status, 400);
    assert_eq!(registry.send("PUT", &registry.begin(REPOSITORY), &[], b"content").status, 400, "without a digest");

    let missing = manifest(&wrong, 1, &[], "");
    let answer = registry.push_manifest(REPOSITORY, "v1", &missing);
    assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (404, &"MANIFEST_BLOB_UNKNOWN".into()));
    assert_eq!(registry.push_manifest(REPOSITORY, "v1", b"no json").status, 400);
    assert_eq!(registry.push_manifest(REPOSITORY, "bad:tag", b"{}").status, 400);
    assert_eq!(registry.push_manifest(REPOSITORY, "v1", &vec![b' '; 5 << 20]).status, 413);
    assert_eq!(registry.send("POST", "/v2/", &[], b"").status, 405);
    assert_eq!(registry.get("/v2/UPPER/tags/list").status, 400);
    assert_eq!(registry.get("/v2/a/blobs/sha256:short").status, 400);
    assert_eq!(registry.get("/v2/_catalog").body, br#"{"repositories":[]}"#);
}

#[test]
fn a_part_of_a_blob_can_be_read() {
    let registry = Registry::start();
    let blob: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = format!("/v2/{REPOSITORY}/blobs/{}", registry.push_blob(REPOSITORY, &blob));
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=5-1000004", 5..1_000_005),
        ("bytes=3999990-", 3_999_990..4_000_000),
        ("bytes=-7", 3_999_993..4_000_000),
    ] {
        let answer = registry.send("GET", &path, &[("range", range)], b"");
        assert_eq!((answer.status, answer.body == blob[part.clone()]), (206, true), "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {}-{}/4000000", part.start, part.end - 1));
    }
    let answer = registry.send("GET", &path, &[("range", "bytes=4000000-")], b"");
    assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */4000000".to_owned()));
    assert!(registry.get(&path).body == blob);
}

#[test]
fn a_push_that_is_cut_or_a_node_that_falls_leaves_no_corrupt_blob() {
    let registry = Registry::start();
    let node = &registry.cluster.nodes[0];
    let blob: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let (digest, half) = (digest(&blob), blob.len() / 2);
    let session = registry.begin(REPOSITORY);
    let answer = registry.send("PATCH", &session, &[], &blob[..half]);
    assert_eq!(answer.status, 202);

    // The client leaves within the second half: what was acknowledged is still there, and nothing more.
    let mut cut = registry.open("PATCH", &session, &[], half).unwrap();
    cut.write_all(&blob[half..half + 1_000_000]).unwrap();
    drop(cut);
    let expected = format!("0-{}", half - 1);
    wait_for("the cut piece is taken back", || (registry.get(&session).header("range") == expected).then_some(()));

    // The node falls within it, and comes back.
    let mut cut = registry.open("PUT", &format!("{session}?digest={digest}"), &[], half).unwrap();
    cut.write_all(&blob[half..half + 3_000_000]).unwrap();
    node.kill();
    node.ok(&["start"]);
    wait_for("the registry answers", || registry.try_send("GET", "/v2/", &[], b""));
    assert_eq!(registry.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).status, 404);

    // The upload goes on where the disk says, and becomes the blob that it should be.
    let range = registry.get(&session).header("range");
    let has = range.trim_start_matches("0-").parse::<usize>().unwrap() + 1;
    assert!(has >= half, "{range}");
    let answer = registry.send("PUT", &format!("{session}?digest={digest}"), &[], &blob[has..]);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(registry.get(&format!("/v2/{REPOSITORY}/blobs/{digest}")).body == blob);
}

#[test]
fn a_blob_larger_than_its_memory_passes() {
    let registry = Registry::start();
    let piece: Vec<u8> = (0..(1_u32 << 18)).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let pieces = LARGE_BYTES / piece.len();
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    (0..pieces).for_each(|_| sha2::Digest::update(&mut hasher, &piece));
    let digest = sha2::Digest::finalize(hasher).iter().fold(String::from("sha256:"), |text, byte| format!("{text}{byte:02x}"));

    let began = Instant::now();
    let session = registry.begin(REPOSITORY);
    let mut stream = registry.open("PUT", &format!("{session}?digest={digest}"), &[], LARGE_BYTES).unwrap();
    (0..pieces).for_each(|_| stream.write_all(&piece).unwrap());
    let answer = super::Answer::read(stream).unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    let pushed = began.elapsed();

    let began = Instant::now();
    let stream = registry.open("GET", &format!("/v2/{REPOSITORY}/blobs/{digest}"), &[], 0).unwrap();
    assert_eq!(hash_body(stream), (digest, LARGE_BYTES));
    let pulled = began.elapsed();
    let rate = |time: std::time::Duration| (LARGE_BYTES >> 20) as f64 / time.as_secs_f64();
    eprintln!("push {:.0} MiB/s, pull {:.0} MiB/s", rate(pushed), rate(pulled));

    let usage = memory_of_registry(&registry);
    assert!(usage <= MEMORY_BYTES_MAX, "the registry holds {usage} bytes");
}

/// Digest and length of what follows the head.
fn hash_body(mut stream: TcpStream) -> (String, usize) {
    let (mut buffer, mut head) = (vec![0; 1 << 20], Vec::new());
    let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
    let mut bytes = 0;
    let mut in_body = false;
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        let mut piece = &buffer[..count];
        if !in_body {
            head.extend_from_slice(piece);
            let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            in_body = true;
            piece = &head[end + 4..];
        }
        sha2::Digest::update(&mut hasher, piece);
        bytes += piece.len();
    }
    let digest = sha2::Digest::finalize(hasher).iter().fold(String::from("sha256:"), |text, byte| format!("{text}{byte:02x}"));
    (digest, bytes)
}

/// What the node says that the task's memories hold.
fn memory_of_registry(registry: &Registry) -> u64 {
    let data_dir = &registry.cluster.nodes[0].data_dir;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let usage = runtime.block_on(async {
        let client = minicloud_node::client::Client::connect_data_dir(data_dir).await.unwrap();
        client.service_usage("registry").await.unwrap()
    });
    usage.total.memory_bytes
}
