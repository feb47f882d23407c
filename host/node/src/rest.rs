//! Pauses that keep a loop from taking a core for itself.
use tokio::time::{Instant, sleep};

use crate::limits::{REST_MAX, REST_WORTH};

/// Rests as long as the work since `began` took: quick work, which is nearly all of it, not at all. Whatever happens
/// meanwhile is looked at in one go.
pub(crate) async fn rest_after(began: Instant) {
    let took = began.elapsed();
    if took >= REST_WORTH {
        sleep(took.min(REST_MAX)).await;
    }
}
