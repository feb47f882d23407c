//! `registry`: an OCI registry on a volume. It serves the Distribution Specification 1.1 to anyone who reaches it.
//!
//! Blobs pass in pieces and are hashed on the way; a blob has its name only when it is whole, right and on the disk.
//! What decides is pure or goes through [`store::Store`], which is plain files; only `handler`, `answer` and `upload`
//! touch WASI.

pub mod digest;
pub mod fault;
pub mod manifest;
pub mod name;
pub mod page;
pub mod query;
pub mod range;
pub mod referrers;
pub mod route;
pub mod store;

#[cfg(target_family = "wasm")]
mod answer;
#[cfg(target_family = "wasm")]
mod content;
#[cfg(target_family = "wasm")]
mod handler;
#[cfg(target_family = "wasm")]
mod upload;
