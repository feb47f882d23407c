//! Settings of wasmtime: which proposals, how memory is reserved, how large the pool of instances is.
use std::hash::{Hash, Hasher};

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::capacity::Capacity;
use crate::error::EngineError;
use crate::limits::{CORE_INSTANCES_PER_COMPONENT_MAX, POOL_WARM_SLOTS, TABLE_ELEMENTS_PER_TABLE_MAX};

/// An engine whose instances come from a pool; from the host's allocator where the pool cannot be reserved.
pub fn engine(capacity: Capacity) -> Result<wasmtime::Engine, EngineError> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(capacity.slots)));
    match wasmtime::Engine::new(&config) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!("no pool of instances, each is allocated on its own: {error:#}");
            on_demand()
        }
    }
}

fn on_demand() -> Result<wasmtime::Engine, EngineError> {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    wasmtime::Engine::new(&config).map_err(|error| EngineError::Setup { reason: format!("{error:#}") })
}

fn base() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(8))
        .total_memories(slots.saturating_add(slots / 4))
        .total_tables(slots.saturating_mul(4))
        .total_stacks(slots.saturating_add(slots / 4))
        .total_gc_heaps(0)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT_MAX)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(TABLE_ELEMENTS_PER_TABLE_MAX)
        .max_tables_per_module(8)
        .max_memories_per_module(8)
        .max_unused_warm_slots(POOL_WARM_SLOTS);
    pool
}

/// Names the engine's version and settings: compiled code is only exchanged between engines with the same key.
pub fn cache_key(engine: &wasmtime::Engine) -> String {
    let mut hasher = Sha256Hasher(sha2::Sha256::default());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.hex()
}

/// SHA-256 behind the interface of `std::hash`: the same in every process and build, unlike the default hasher.
struct Sha256Hasher(sha2::Sha256);

impl Sha256Hasher {
    const HEX_CHARS: usize = 32;

    fn hex(self) -> String {
        use sha2::Digest as _;
        let text = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        text[..Self::HEX_CHARS].to_owned()
    }
}

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_depends_on_settings_that_change_the_code_and_on_no_other() {
        let pooled = engine(Capacity::of_host(64 << 20)).unwrap();
        let larger = engine(Capacity::of_host(128 << 20)).unwrap();
        assert_eq!(cache_key(&pooled), cache_key(&larger));
        let mut other = base();
        other.epoch_interruption(false);
        let other = wasmtime::Engine::new(&other).unwrap();
        assert_ne!(cache_key(&pooled), cache_key(&other));
    }
}
