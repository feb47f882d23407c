//! What a component may import, interface by interface: WASI 0.2 and 0.3, `wasi:config/store` and `minicloud:task`,
//! all offered to every task.
//!
//! `wasi:sockets` and `wasi:http` lead to the virtual network; wasmtime-wasi's sockets of the operating system are
//! not linked at all, so an interface forgotten here is a link error and never a way out.
use wasmtime::component::{Component, HasData, InstancePre, Linker, ResourceTable, types::ComponentItem};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::random::WasiRandom;

use crate::capability::clocks::Clocks;
use crate::capability::{files, settings, sockets, task};
use crate::error::EngineError;
use crate::store::GuestState;

/// Interfaces of WASI 0.2 that are linked below.
const OFFERED_P2: &[&str] = &[
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/wall-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:sockets/network",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
    "wasi:http/types",
    "wasi:http/outgoing-handler",
];

/// Interfaces of WASI 0.3 that are linked below.
const OFFERED_P3: &[&str] = &[
    "wasi:clocks/types",
    "wasi:clocks/system-clock",
    "wasi:clocks/monotonic-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:cli/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:sockets/types",
    "wasi:sockets/ip-name-lookup",
    "wasi:http/types",
    "wasi:http/client",
];

/// Interfaces of our own (`wit/minicloud.wit`), version 0.1.
const OFFERED_OWN: &[&str] = &["minicloud:task/task-info", "minicloud:task/lifecycle"];

/// The linker of an engine; one serves all tasks.
pub struct GuestLinker {
    linker: Linker<GuestState>,
}

impl GuestLinker {
    pub fn new(engine: &wasmtime::Engine) -> Result<GuestLinker, EngineError> {
        let mut linker = Linker::new(engine);
        let linked = add_p2(&mut linker).and_then(|()| add_p3(&mut linker));
        let linked = linked.and_then(|()| files::add_to_linker(&mut linker)).and_then(|()| task::add_to_linker(&mut linker));
        let linked = linked.and_then(|()| settings::add_to_linker(&mut linker));
        linked.map_err(|error| EngineError::Setup { reason: format!("{error:#}") })?;
        Ok(GuestLinker { linker })
    }

    /// Resolve a component's imports, or name those that nobody offers.
    pub fn link(&self, component: &Component) -> Result<InstancePre<GuestState>, EngineError> {
        self.linker.instantiate_pre(component).map_err(|error| match unknown_imports(component) {
            names if names.is_empty() => EngineError::Incompatible { reason: format!("{error:#}") },
            names => EngineError::UnknownImports { names },
        })
    }
}

struct Io;

impl HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn add_p2(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p2::bindings::{cli, clocks, random};
    use wasmtime_wasi_io::bindings::wasi::io;
    type State = GuestState;
    let l = linker;
    io::error::add_to_linker::<State, Io>(l, |state| state.ctx().table)?;
    io::poll::add_to_linker::<State, Io>(l, |state| state.ctx().table)?;
    io::streams::add_to_linker::<State, Io>(l, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(l, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, Clocks>(l, State::clock)?;
    random::random::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    sockets::p2::add_to_linker(l)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(l)
}

fn add_p3(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p3::bindings::clocks::{monotonic_clock, system_clock, types};
    types::add_to_linker::<GuestState, Clocks>(linker, GuestState::clock)?;
    monotonic_clock::add_to_linker::<GuestState, Clocks>(linker, GuestState::clock)?;
    system_clock::add_to_linker::<GuestState, WasiClocks>(linker, GuestState::clocks)?;
    wasmtime_wasi::p3::random::add_to_linker(linker)?;
    wasmtime_wasi::p3::cli::add_to_linker(linker)?;
    sockets::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

fn unknown_imports(component: &Component) -> Vec<String> {
    let engine = component.engine();
    let ty = component.component_type();
    let unknown = ty.imports(engine).filter(|(name, item)| needs_a_host(engine, &item.ty) && !is_offered(name));
    unknown.map(|(name, _)| name.to_owned()).collect()
}

/// An instance of types alone needs nothing behind it.
fn needs_a_host(engine: &wasmtime::Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            instance.exports(engine).any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_) | ComponentItem::Resource(_)))
        }
        ComponentItem::Type(_) => false,
        _ => true,
    }
}

/// Whether an import, as `wasi:http/types@0.2.3`, is linked for every task.
pub fn is_offered(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else { return false };
    match version {
        _ if import == settings::STORE => true,
        _ if interface.starts_with("minicloud:") => version.starts_with("0.1.") && OFFERED_OWN.contains(&interface),
        _ if version.starts_with("0.2.") => OFFERED_P2.contains(&interface),
        _ if version.starts_with("0.3.") => OFFERED_P3.contains(&interface),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_known_by_interface_and_version() {
        assert!(is_offered("wasi:sockets/tcp@0.2.3"));
        assert!(is_offered("wasi:http/client@0.3.0"));
        assert!(is_offered("minicloud:task/lifecycle@0.1.0"));
        assert!(is_offered("wasi:config/store@0.2.0-rc.1") && !is_offered("wasi:config/store@0.2.0"));
        assert!(!is_offered("minicloud:task/lifecycle@0.2.0"));
        assert!(!is_offered("wasi:sockets/tcp@0.3.0"));
        assert!(!is_offered("wasi:keyvalue/store@0.2.0"));
        assert!(!is_offered("wasi:http/types"));
    }
}
