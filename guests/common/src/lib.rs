//! What the guests share: replies and bodies of HTTP, log lines, hexadecimal digits, timers with bounds,
//! TCP by name, and a RESP client. Pure parts build and test natively; the rest needs WASI 0.3.

pub mod hex;
pub mod log;
pub mod reply;
pub mod resp;

#[cfg(target_family = "wasm")]
pub mod body;
#[cfg(target_family = "wasm")]
pub mod clock;
#[cfg(target_family = "wasm")]
pub mod redis;
#[cfg(target_family = "wasm")]
pub mod serve;
#[cfg(target_family = "wasm")]
pub mod tcp;

/// The task's host name, which the host sets in the environment, since WASI has none.
pub fn hostname() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".to_owned())
}

/// Whether `DEBUG` asks for more log lines: its value starts with `y` or `Y`.
pub fn debug_enabled() -> bool {
    std::env::var("DEBUG").is_ok_and(|value| value.starts_with(['y', 'Y']))
}
