//! How large the one binary is.
use crate::cluster::BINARY;
use crate::figure::{Figure, Unit};

pub fn run() -> anyhow::Result<Vec<Figure>> {
    let bytes = std::fs::metadata(BINARY)?.len();
    Ok(vec![Figure::new("size", "stripped binary with all bundled images", 45.0, Unit::Megabytes, vec![bytes as f64 / 1e6])])
}
