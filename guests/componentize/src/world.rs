//! What a component asks for and what it offers, by the names at its outermost level. Pure.
use std::fmt;

use wasmparser::{Parser, Payload};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct World {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Reads the names; components inside the component are passed over.
pub fn read(component: &[u8]) -> Result<World, String> {
    let mut world = World::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        let broken = |error: wasmparser::BinaryReaderError| format!("this is no component: {error}");
        match payload.map_err(broken)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => {
                for import in imports {
                    world.imports.push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 1 => {
                for export in exports {
                    world.exports.push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(world)
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.imports.iter().try_for_each(|name| writeln!(f, "import {name}"))?;
        self.exports.iter().try_for_each(|name| writeln!(f, "export {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_names_count() {
        let component = wat::parse_str(
            r#"(component
                (import "wasi:cli/stdout@0.2.0" (instance))
                (component (import "inner:thing/x" (instance)))
                (import "wasi:keyvalue/store@0.2.0" (instance $store))
                (export "wasi:cli/run@0.2.0" (instance $store)))"#,
        )
        .unwrap();
        let world = read(&component).unwrap();
        assert_eq!(world.to_string(), "import wasi:cli/stdout@0.2.0\nimport wasi:keyvalue/store@0.2.0\nexport wasi:cli/run@0.2.0\n");
    }
}
