//! End-to-end tests: the real binary, real processes, real packets. They prove the wiring, not the logic.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod book;
mod build_tools;
mod clients;
mod cluster;
mod commands;
mod completion;
mod compose;
mod damage;
mod dockercoins;
mod false_registry;
mod faults;
mod full_disk;
mod images;
mod isolation;
mod jobs;
mod keys;
mod logins;
mod membership;
mod namespaces;
#[path = "../web/page.rs"]
mod page;
mod rates;
mod redis_library;
mod registry;
mod run;
mod secrets;
mod support;
mod tutorial;
mod udp;
mod updates;
mod watching;
