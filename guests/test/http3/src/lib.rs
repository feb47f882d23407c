//! An HTTP service on WASI 0.3, for tests of the host:
//!
//! - `/` tells method, path and host name, and how many requests this instance has had
//! - `/get?url=http://name/path` makes a request of its own and passes on the answer
//! - `/slow?ms=100` answers late, `/body` answers what was sent, `/trap` traps
//! - `/headers` tells the request's headers, `/status?code=418` answers with that status

#[cfg(target_family = "wasm")]
mod handler;
#[cfg(target_family = "wasm")]
mod proxy;
