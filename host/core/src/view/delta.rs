//! From one view to a later one, and back into a view.
use std::sync::Arc;

use imbl::OrdMap;

use crate::id::Index;

use super::{NodeView, ViewDelta};

/// A delta that was made from another view than the one it is applied to: ask for a full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the view stands at index {have}, but the delta begins at {from}")]
pub struct ViewMismatch {
    pub have: Index,
    pub from: Index,
}

/// What changed from `old` to `new`. From the default view it is a full one (`from` is 0).
pub fn delta(old: &NodeView, new: &NodeView) -> ViewDelta {
    let (tasks_put, tasks_dropped) = difference(&old.tasks, &new.tasks);
    let (networks_put, networks_dropped) = difference(&old.routes.networks, &new.routes.networks);
    let (services_put, services_dropped) = difference(&old.routes.services, &new.routes.services);
    let (nodes_put, nodes_dropped) = difference(&old.nodes, &new.nodes);
    ViewDelta {
        from: old.index,
        to: new.index,
        tasks_put,
        tasks_dropped,
        networks_put,
        networks_dropped,
        services_put,
        services_dropped,
        nodes_put,
        nodes_dropped,
    }
}

impl ViewDelta {
    /// Nothing but the index changed.
    pub fn is_empty(&self) -> bool {
        self.tasks_put.is_empty()
            && self.tasks_dropped.is_empty()
            && self.networks_put.is_empty()
            && self.networks_dropped.is_empty()
            && self.services_put.is_empty()
            && self.services_dropped.is_empty()
            && self.nodes_put.is_empty()
            && self.nodes_dropped.is_empty()
    }
}

impl NodeView {
    /// Moves the view on. A full delta (`from` is 0) replaces it; any other must begin where the view stands.
    pub fn apply(&mut self, delta: ViewDelta) -> Result<(), ViewMismatch> {
        if delta.from == Index(0) {
            *self = NodeView::default();
        } else if delta.from != self.index {
            return Err(ViewMismatch { have: self.index, from: delta.from });
        }
        merge(&mut self.tasks, delta.tasks_put, delta.tasks_dropped, |row| row.id);
        merge(&mut self.routes.networks, delta.networks_put, delta.networks_dropped, |row| row.id);
        merge(&mut self.routes.services, delta.services_put, delta.services_dropped, |row| row.id);
        merge(&mut self.nodes, delta.nodes_put, delta.nodes_dropped, |row| row.id);
        self.index = delta.to;
        self.routes.index = delta.to;
        Ok(())
    }
}

fn merge<K: Copy + Ord, V>(map: &mut OrdMap<K, Arc<V>>, put: Vec<Arc<V>>, dropped: Vec<K>, key: impl Fn(&V) -> K) {
    for gone in dropped {
        map.remove(&gone);
    }
    for row in put {
        map.insert(key(&row), row);
    }
}

/// Rows that `new` has otherwise, and keys that it has no more. Maps and rows that are shared cost a pointer's comparison.
fn difference<K: Copy + Ord, V: PartialEq>(old: &OrdMap<K, Arc<V>>, new: &OrdMap<K, Arc<V>>) -> (Vec<Arc<V>>, Vec<K>) {
    if old.ptr_eq(new) {
        return (Vec::new(), Vec::new());
    }
    let same = |old: &Arc<V>, new: &Arc<V>| Arc::ptr_eq(old, new) || old == new;
    let changed = new.iter().filter(|(key, row)| old.get(*key).is_none_or(|old| !same(old, row)));
    let gone = old.keys().filter(|key| !new.contains_key(*key)).copied();
    (changed.map(|(_, row)| Arc::clone(row)).collect(), gone.collect())
}
