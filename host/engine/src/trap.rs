//! From what wasmtime returned to how a task ended: exit codes, traps with their backtrace, the memory limit.
use minicloud_core::task::Exit;
use wasmtime::WasmBacktrace;
use wasmtime_wasi::I32Exit;

use crate::error::EngineError;
use crate::memory::MemoryBudget;
use crate::store::TaskContext;

/// How a command ended.
pub fn exit_of(result: wasmtime::Result<Result<(), ()>>, budget: &MemoryBudget) -> Exit {
    match result {
        Ok(Ok(())) => Exit::Completed,
        Ok(Err(())) => Exit::Failed { code: 1 },
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(0)) => Exit::Completed,
            Some(I32Exit(code)) => Exit::Failed { code: *code },
            None => trapped(&error, budget),
        },
    }
}

/// The end of a task whose component trapped.
pub fn trapped(error: &wasmtime::Error, budget: &MemoryBudget) -> Exit {
    Exit::Trapped { message: message_of(error, budget), backtrace: backtrace_of(error) }
}

/// The cause of a trap in one line; names the memory limit when the task ran into it.
pub fn message_of(error: &wasmtime::Error, budget: &MemoryBudget) -> String {
    let cause = error.root_cause().to_string();
    let cause = cause.lines().next().unwrap_or_default();
    match budget.was_exhausted() {
        true => format!("{cause}; the task had reached its memory limit of {}", bytes_text(budget.limit_bytes())),
        false => cause.to_owned(),
    }
}

/// The stack of the guest; empty when there was none.
pub fn backtrace_of(error: &wasmtime::Error) -> String {
    error.downcast_ref::<WasmBacktrace>().map(ToString::to_string).unwrap_or_default()
}

/// Why a component could not be instantiated: no room, or its own fault.
pub fn start_error(error: &wasmtime::Error, context: &TaskContext) -> EngineError {
    let reason = format!("{error:#}");
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return EngineError::Full { reason: format!("{reason}: {}", context.capacity) };
    }
    let no_maps = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
    };
    if error.chain().any(no_maps) || reason.contains("Cannot allocate memory") {
        return EngineError::Full { reason: format!("{reason}; raise vm.max_map_count or free memory") };
    }
    EngineError::StartFailed { message: message_of(error, &context.memory), backtrace: backtrace_of(error) }
}

/// The end of a task in which the host itself panicked.
pub fn host_panicked(panic: &(dyn std::any::Any + Send)) -> Exit {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Exit::Trapped {
        message: format!("minicloud itself failed while it ran this task (please report this): {text}"),
        backtrace: String::new(),
    }
}

fn bytes_text(bytes: u64) -> String {
    match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{bytes} bytes"),
    }
}
