//! The one place of unsafe code: turning a file of compiled code into a component.
//!
//! Called by `cache.rs` only, for files that this program wrote and whose checksum it has just compared.
use std::path::Path;

/// Map a compiled component into memory.
///
/// The file holds machine code that will run as it is, so it must come from `Engine::precompile_component` of an
/// engine with the same settings; wasmtime itself refuses other versions and settings, but not malicious bytes.
/// `cache.rs` guarantees the origin: the folder belongs to this user and nobody else may write to it, and the
/// checksum written after the file was complete has been compared.
#[expect(unsafe_code, reason = "loading compiled code cannot be checked by the compiler; see above for what makes it sound")]
pub fn load(engine: &wasmtime::Engine, file: &Path) -> wasmtime::Result<wasmtime::component::Component> {
    // SAFETY: the only caller is `cache.rs`, which passes files of its own folder with a matching checksum.
    unsafe { wasmtime::component::Component::deserialize_file(engine, file) }
}
