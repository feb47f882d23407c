//! What is refused on loading, and with which words.
use bytes::Bytes;
use minicloud_engine::{ComponentKind, ComponentSource, EngineError, WasiVersion};

use crate::support::{CLI2, CLI3, HTTP2, HTTP3, Node, digest_of, guest, load};

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_is_told_apart() {
    let node = Node::new();
    let kinds = [
        (CLI2, ComponentKind::Command(WasiVersion::P2)),
        (CLI3, ComponentKind::Command(WasiVersion::P3)),
        (HTTP2, ComponentKind::Http(WasiVersion::P2)),
        (HTTP3, ComponentKind::Http(WasiVersion::P3)),
    ];
    for (name, kind) in kinds {
        assert_eq!(load(&node.engine, guest(name)).await.unwrap().kind(), kind, "{name}");
    }
}

async fn refusal(bytes: impl Into<Bytes>) -> EngineError {
    let error = load(&Node::new().engine, bytes.into()).await.expect_err("a refusal");
    assert!(error.is_rejection(), "{error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_refused() {
    assert!(matches!(refusal("#!/bin/sh\nexit 0\n").await, EngineError::NotAComponent { .. }));
    assert!(matches!(refusal("").await, EngineError::NotAComponent { .. }));
    assert!(matches!(refusal(wat::parse_str("(module)").unwrap()).await, EngineError::CoreModule));
    let mut broken = guest(CLI2).to_vec();
    broken.truncate(broken.len() / 2);
    assert!(matches!(refusal(broken).await, EngineError::NotAComponent { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_that_nobody_offers_are_named() {
    let text = r#"(component
        (import "acme:queue/sender@1.0.0" (instance (export "send" (func))))
        (import "wasi:keyvalue/store@0.2.0" (instance (export "get" (func))))
        (import "wasi:cli/environment@0.2.0" (instance)))"#;
    match refusal(wat::parse_str(text).unwrap()).await {
        EngineError::UnknownImports { names } => assert_eq!(names, ["acme:queue/sender@1.0.0", "wasi:keyvalue/store@0.2.0"]),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_another_type_is_refused() {
    let text = r#"(component (import "wasi:cli/environment@0.2.0" (instance (export "no-such-function" (func)))))"#;
    assert!(matches!(refusal(wat::parse_str(text).unwrap()).await, EngineError::Incompatible { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_without_an_entry_is_refused() {
    assert!(matches!(refusal(wat::parse_str("(component)").unwrap()).await, EngineError::NothingToRun));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_must_belong_to_their_digest() {
    let options = crate::support::options();
    let folder = tempfile::tempdir().unwrap();
    let node = Node::with(minicloud_engine::EngineOptions { cache_dir: folder.path().to_owned(), ..options });
    let loaded = node.engine.load(digest_of(b"other"), ComponentSource::Bytes(guest(CLI2))).await;
    assert!(matches!(loaded, Err(EngineError::WrongDigest { .. })), "{loaded:?}");
    let missing = node.engine.load(digest_of(b"other"), ComponentSource::File("/nowhere.wasm".into())).await;
    assert!(matches!(missing, Err(EngineError::Unreadable { .. })), "{missing:?}");
}
