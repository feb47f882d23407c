//! The memory that the adapter works in: it looks for one that is exported as `memory`, which a program that calls nothing
//! has no reason to have. Pure.
use std::ops::Range;

use wasm_encoder::{ExportKind, ExportSection, MemorySection, MemoryType, Module, RawSection, SectionId};
use wasmparser::{ExternalKind, Parser, Payload};

const NAME: &str = "memory";
/// Sections in the order in which they must stand; custom ones stand anywhere.
const ORDER: [SectionId; 13] = [
    SectionId::Type,
    SectionId::Import,
    SectionId::Function,
    SectionId::Table,
    SectionId::Memory,
    SectionId::Tag,
    SectionId::Global,
    SectionId::Export,
    SectionId::Start,
    SectionId::Element,
    SectionId::DataCount,
    SectionId::Code,
    SectionId::Data,
];

/// The module with an exported memory: its first one, or else an empty one of its own. `None`: it has one.
pub fn exported(module: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let (mut sections, mut has_memory, mut exports) = (Vec::new(), false, ExportSection::new());
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| error.to_string())?;
        match &payload {
            Payload::MemorySection(memories) => has_memory = memories.count() > 0,
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let import = import.map_err(|error| error.to_string())?;
                    has_memory |= matches!(import.ty, wasmparser::TypeRef::Memory(_));
                }
            }
            Payload::ExportSection(found) => {
                for export in found.clone() {
                    let export = export.map_err(|error| error.to_string())?;
                    if export.name == NAME {
                        return Ok(None);
                    }
                    exports.export(export.name, kind(export.kind), export.index);
                }
            }
            _ => {}
        }
        sections.extend(payload.as_section().filter(|(id, _)| *id != SectionId::Export as u8));
    }
    exports.export(NAME, ExportKind::Memory, 0);
    Ok(Some(assemble(module, &sections, &exports, has_memory)))
}

fn assemble(module: &[u8], sections: &[(u8, Range<usize>)], exports: &ExportSection, has_memory: bool) -> Vec<u8> {
    let mut made = Module::new();
    let raw = |made: &mut Module, id: SectionId| {
        for (_, range) in sections.iter().filter(|(found, _)| *found == id as u8) {
            made.section(&RawSection { id: id as u8, data: &module[range.clone()] });
        }
    };
    for id in ORDER {
        match id {
            SectionId::Export => _ = made.section(exports),
            SectionId::Memory if !has_memory => {
                let empty = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
                made.section(MemorySection::new().memory(empty));
            }
            id => raw(&mut made, id),
        }
    }
    raw(&mut made, SectionId::Custom);
    made.finish()
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
