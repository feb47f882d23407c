//! A loaded component: compiled, linked, its kind known, ready to be instantiated any number of times.
use std::fmt;
use std::sync::Arc;

use minicloud_core::spec::Digest;
use wasmtime::component::InstancePre;
use wasmtime::component::types::ComponentItem;
use wasmtime_wasi_http::handler::ProxyPre;

use crate::capability::task;
use crate::error::EngineError;
use crate::linker::GuestLinker;
use crate::store::GuestState;

/// Version of WASI that a component's entry point speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WasiVersion {
    P2,
    P3,
}

/// How a component is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ComponentKind {
    /// Serves HTTP requests that the host hands to it.
    Http(WasiVersion),
    /// Runs like a process.
    Command(WasiVersion),
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ComponentKind::Http(WasiVersion::P2) => "HTTP service, WASI 0.2",
            ComponentKind::Http(WasiVersion::P3) => "HTTP service, WASI 0.3",
            ComponentKind::Command(WasiVersion::P2) => "command, WASI 0.2",
            ComponentKind::Command(WasiVersion::P3) => "command, WASI 0.3",
        })
    }
}

/// A cheap handle; clones are the same component.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

struct Inner {
    digest: Digest,
    entry: Entry,
    says_ready: bool,
}

/// Ready to instantiate, by kind.
pub enum Entry {
    Http(ProxyPre<GuestState>),
    CommandP3(wasmtime_wasi::p3::bindings::CommandPre<GuestState>),
    CommandP2(wasmtime_wasi::p2::bindings::CommandPre<GuestState>),
}

impl Component {
    /// Link what was compiled, and find out what it is.
    pub fn link(digest: Digest, linker: &GuestLinker, component: &wasmtime::component::Component) -> Result<Component, EngineError> {
        let entry = entry_of(&linker.link(component)?).ok_or(EngineError::NothingToRun)?;
        Ok(Component { inner: Arc::new(Inner { digest, entry, says_ready: says_ready(component) }) })
    }

    pub fn digest(&self) -> Digest {
        self.inner.digest
    }

    pub fn kind(&self) -> ComponentKind {
        match &self.inner.entry {
            Entry::Http(ProxyPre::P3(_)) => ComponentKind::Http(WasiVersion::P3),
            Entry::Http(ProxyPre::P2(_)) => ComponentKind::Http(WasiVersion::P2),
            Entry::CommandP3(_) => ComponentKind::Command(WasiVersion::P3),
            Entry::CommandP2(_) => ComponentKind::Command(WasiVersion::P2),
        }
    }

    /// It says itself when it is ready.
    pub(crate) fn says_ready(&self) -> bool {
        self.inner.says_ready
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.inner.entry
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Component({}, {})", self.digest(), self.kind())
    }
}

fn says_ready(component: &wasmtime::component::Component) -> bool {
    let engine = component.engine();
    let (ty, interface) = (component.component_type(), |name: &str| name.split('@').next() == task::LIFECYCLE.split('@').next());
    ty.imports(engine).any(|(name, item)| match item.ty {
        ComponentItem::ComponentInstance(instance) => interface(name) && instance.exports(engine).any(|(name, _)| name == task::READY),
        _ => false,
    })
}

/// The newest entry point it has; an HTTP handler before `run`.
fn entry_of(pre: &InstancePre<GuestState>) -> Option<Entry> {
    if let Ok(service) = wasmtime_wasi_http::p3::bindings::ServicePre::new(pre.clone()) {
        return Some(Entry::Http(ProxyPre::P3(service)));
    }
    if let Ok(proxy) = wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre.clone()) {
        return Some(Entry::Http(ProxyPre::P2(proxy)));
    }
    if let Ok(command) = wasmtime_wasi::p3::bindings::CommandPre::new(pre.clone()) {
        return Some(Entry::CommandP3(command));
    }
    wasmtime_wasi::p2::bindings::CommandPre::new(pre.clone()).ok().map(Entry::CommandP2)
}
