//! From text, a core module or a component to a component. Pure.
use std::borrow::Cow;

use wasi_preview1_component_adapter_provider as adapters;
use wasmparser::{Encoding, Parser, Payload};
use wit_component::ComponentEncoder;

use crate::memory;

/// Where core modules of WASI preview 1 import from.
const PREVIEW1: &str = adapters::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;

/// The component that `input` is, or that it becomes.
pub fn component(input: &[u8]) -> Result<Vec<u8>, String> {
    let binary = wat::parse_bytes(input).map_err(|error| format!("this is neither WebAssembly nor its text format: {error}"))?;
    match encoding(&binary)? {
        Encoding::Component => Ok(binary.into_owned()),
        Encoding::Module => adapt(binary),
    }
}

fn encoding(binary: &[u8]) -> Result<Encoding, String> {
    match Parser::new(0).parse_all(binary).next() {
        Some(Ok(Payload::Version { encoding, .. })) => Ok(encoding),
        Some(Err(error)) => Err(format!("this is not WebAssembly: {error}")),
        _ => Err("this is not WebAssembly: it is empty".to_owned()),
    }
}

fn adapt(mut module: Cow<'_, [u8]>) -> Result<Vec<u8>, String> {
    let module_facts = ModuleFacts::read(&module)?;
    if module_facts.is_preview1
        && let Some(with_memory) = memory::exported(&module)?
    {
        module = with_memory.into();
    }
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).map_err(|error| explain(&error))?;
    if module_facts.is_preview1 {
        let adapter = match module_facts.is_program {
            true => adapters::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            false => adapters::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        };
        encoder = encoder.adapter(PREVIEW1, adapter).map_err(|error| explain(&error))?;
    } else if let Some(unknown) = module_facts.first_import {
        return Err(format!(
            "a core module that imports '{unknown}' cannot become a component: build it for WASI preview 1 (imports from \
             {PREVIEW1}), or as a component"
        ));
    }
    encoder.encode().map_err(|error| explain(&error))
}

/// What decides how a core module is adapted.
struct ModuleFacts {
    is_preview1: bool,
    /// It starts by itself.
    is_program: bool,
    /// Where it imports from, if it imports and carries no description of a world.
    first_import: Option<String>,
}

impl ModuleFacts {
    fn read(module: &[u8]) -> Result<ModuleFacts, String> {
        let mut facts = ModuleFacts { is_preview1: false, is_program: false, first_import: None };
        let mut has_world = false;
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(|error| error.to_string())? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let from = import.map_err(|error| error.to_string())?.module;
                        facts.is_preview1 |= from == PREVIEW1;
                        facts.first_import.get_or_insert_with(|| from.to_owned());
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        facts.is_program |= export.map_err(|error| error.to_string())?.name == "_start";
                    }
                }
                Payload::CustomSection(custom) => has_world |= custom.name().starts_with("component-type"),
                _ => {}
            }
        }
        if has_world {
            facts.first_import = None;
        } else {
            // One that imports nothing needs the adapter all the same: that exports what starts it.
            facts.is_preview1 |= facts.is_program && facts.first_import.is_none();
        }
        Ok(facts)
    }
}

fn explain(error: &impl std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    format!("this module cannot become a component: {}", text.lines().map(str::trim).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 3))))"#;

    #[test]
    fn a_program_of_preview_1_becomes_a_command() {
        let component = component(PROGRAM.as_bytes()).unwrap();
        let world = crate::world::read(&component).unwrap();
        assert!(world.exports.iter().any(|name| name.starts_with("wasi:cli/run@0.2.")), "{world}");
        assert!(world.imports.iter().any(|name| name.starts_with("wasi:cli/exit@0.2.")), "{world}");
        assert_eq!(super::component(&component).unwrap(), component, "what is a component stays as it is");
    }

    #[test]
    fn a_program_that_imports_nothing_becomes_a_command_too() {
        for program in [
            r#"(module (func (export "_start")))"#,
            r#"(module (memory (export "memory") 1) (func (export "_start") (i32.store (i32.const 8) (i32.const 1))))"#,
            r#"(module (memory 1) (data (i32.const 0) "x") (func (export "_start") (i32.store (i32.const 8) (i32.const 1))))"#,
            r#"(module (table 1 funcref) (global i32 (i32.const 1)) (elem (i32.const 0) $f) (func $f (export "_start")))"#,
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_start")))"#,
        ] {
            let component = component(program.as_bytes()).unwrap_or_else(|error| panic!("{program}: {error}"));
            let world = crate::world::read(&component).unwrap();
            assert!(world.exports.iter().any(|name| name.starts_with("wasi:cli/run@0.2.")), "{program}: {world}");
        }
    }

    #[test]
    fn what_cannot_be_one_says_why() {
        assert!(component(b"#!/bin/sh").unwrap_err().contains("neither WebAssembly nor its text format"));
        assert!(component(b"").is_err());
        let foreign = r#"(module (import "env" "f" (func)) (func (export "_start")))"#;
        assert!(component(foreign.as_bytes()).unwrap_err().contains("imports 'env'"));
        let broken = wat::parse_str(PROGRAM).unwrap();
        assert!(component(&broken[..broken.len() - 3]).is_err());
    }
}
