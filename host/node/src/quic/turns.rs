//! quinn's drivers on tokio, each of which lets what is ready go first.
//!
//! tokio runs the task that was woken last before any other. That would be the driver of a connection, woken by the first
//! stream that has something to send: each request of each client travelled in a packet of its own, at the price of a
//! system call. After the others' turn there is one packet for what all of them have to say.
use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::task::yield_now;

#[derive(Debug)]
pub(super) struct LastInTurn;

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Runtime for LastInTurn {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, driver: Driver) {
        TokioRuntime.spawn(Box::pin(Waiting { driver, waited: false }));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// Each time that it is woken it waits once, until nothing else is ready.
struct Waiting {
    driver: Driver,
    waited: bool,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.waited = !self.waited;
        if self.waited {
            // A yield is woken when its thread runs out of work, and wakes no other thread to look for some: a task that
            // wakes itself would.
            let _ = pin!(yield_now()).poll(cx);
            return Poll::Pending;
        }
        self.driver.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::Notify;

    /// Tasks woken in this order: the driver, then two others.
    #[tokio::test]
    async fn whoever_is_ready_goes_before_a_driver() {
        let (order, wake) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let told = order.clone();
        let woken = wake.clone();
        LastInTurn.spawn(Box::pin(async move {
            woken.notified().await;
            told.lock().unwrap().push("driver");
        }));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        wake.notify_one();
        let others = ["first", "second"].map(|name| {
            let order = order.clone();
            tokio::spawn(async move { order.lock().unwrap().push(name) })
        });
        for other in others {
            other.await.unwrap();
        }
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(*order.lock().unwrap(), ["first", "second", "driver"]);
    }
}
