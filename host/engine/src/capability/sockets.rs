//! `wasi:sockets` over the virtual network: the same sockets of minicloud-net behind both versions of WASI.
//!
//! wasmtime-wasi's own implementation, over sockets of the operating system, is not linked anywhere. Its generated
//! traits are implemented here on `SocketsView`, and its resource types serve as handle types only: a handle is
//! re-typed by index to the resource of ours behind it.
pub mod p2;
pub mod p3;

use minicloud_net::{NetError, TaskNet};
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::sockets::ErrorCode;

/// A task's network and its handles, for the length of one host call.
pub struct SocketsView<'a> {
    pub net: &'a TaskNet,
    pub table: &'a mut ResourceTable,
}

/// Names `SocketsView` to the linker.
pub struct Sockets;

impl HasData for Sockets {
    type Data<'a> = SocketsView<'a>;
}

/// The same handle, with our type behind it.
fn ours<Theirs: 'static, Ours: 'static>(handle: &Resource<Theirs>) -> Resource<Ours> {
    match handle.owned() {
        true => Resource::new_own(handle.rep()),
        false => Resource::new_borrow(handle.rep()),
    }
}

fn error_code(error: NetError) -> ErrorCode {
    match error {
        NetError::Refused => ErrorCode::ConnectionRefused,
        NetError::TimedOut => ErrorCode::Timeout,
        NetError::Unreachable => ErrorCode::RemoteUnreachable,
        NetError::Reset => ErrorCode::ConnectionReset,
        NetError::Aborted => ErrorCode::ConnectionAborted,
        NetError::Broken => ErrorCode::ConnectionBroken,
        NetError::AddressInUse => ErrorCode::AddressInUse,
        NetError::AddressNotBindable => ErrorCode::AddressNotBindable,
        NetError::InvalidState | NetError::NotConnected => ErrorCode::InvalidState,
        NetError::InvalidArgument => ErrorCode::InvalidArgument,
        NetError::DatagramTooLarge => ErrorCode::DatagramTooLarge,
        NetError::TooManySockets => ErrorCode::OutOfMemory,
        NetError::NameNotFound | NetError::WouldBlock => ErrorCode::Other,
    }
}
