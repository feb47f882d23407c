//! A view's delta cut into pieces that fit a frame. Pure.
use minicloud_core::view::{AssignedTask, ServiceRoute, ViewDelta};

/// Bytes of a row that is not looked at closer, roughly.
const ROW_BYTES: usize = 256;
/// Bytes of one backend, roughly.
const BACKEND_BYTES: usize = 96;

/// The delta as pieces of about `bytes_max` each, at least one row in each. Only all of them together are the view:
/// the first begins where the delta does, each later one at the index that the whole leads to.
pub(super) fn pieces(delta: ViewDelta, bytes_max: usize) -> Vec<ViewDelta> {
    let later = || ViewDelta { from: delta.to, to: delta.to, ..ViewDelta::default() };
    let mut pieces = Vec::new();
    let mut piece = ViewDelta {
        from: delta.from,
        to: delta.to,
        tasks_dropped: delta.tasks_dropped,
        networks_put: delta.networks_put,
        networks_dropped: delta.networks_dropped,
        services_dropped: delta.services_dropped,
        nodes_put: delta.nodes_put,
        nodes_dropped: delta.nodes_dropped,
        ..ViewDelta::default()
    };
    let mut bytes = ROW_BYTES * (piece.networks_put.len() + piece.nodes_put.len());
    for service in delta.services_put {
        cut(&mut pieces, &mut piece, &mut bytes, service_bytes(&service), bytes_max, later);
        piece.services_put.push(service);
    }
    for task in delta.tasks_put {
        cut(&mut pieces, &mut piece, &mut bytes, task_bytes(&task), bytes_max, later);
        piece.tasks_put.push(task);
    }
    pieces.push(piece);
    pieces
}

/// Begins a new piece when a row of `row_bytes` would make this one too large.
fn cut(
    pieces: &mut Vec<ViewDelta>,
    piece: &mut ViewDelta,
    bytes: &mut usize,
    row_bytes: usize,
    bytes_max: usize,
    later: impl Fn() -> ViewDelta,
) {
    if *bytes > 0 && *bytes + row_bytes > bytes_max {
        pieces.push(std::mem::replace(piece, later()));
        *bytes = 0;
    }
    *bytes += row_bytes;
}

fn service_bytes(service: &ServiceRoute) -> usize {
    ROW_BYTES + BACKEND_BYTES * service.backends.len()
}

fn task_bytes(task: &AssignedTask) -> usize {
    let template = &task.template;
    let args: usize = template.args.iter().map(|arg| arg.len() + 8).sum();
    let env: usize = template.env.iter().map(|(key, value)| key.len() + value.len() + 16).sum();
    2 * ROW_BYTES + args + env
}
