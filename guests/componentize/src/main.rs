//! `componentize`: reads `/work/input`, writes the component that it makes of it to `/work/output`, and tells on
//! standard output what that component imports and exports, one per line. What is wrong is told on standard error.
//!
//! It runs as a component itself, because what it parses comes from anywhere.
mod adapt;
mod memory;
mod world;

use std::io::Write;
use std::process::ExitCode;

const INPUT: &str = "/work/input";
const OUTPUT: &str = "/work/output";

fn main() -> ExitCode {
    match componentize() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn componentize() -> Result<(), String> {
    let input = std::fs::read(INPUT).map_err(|error| format!("{INPUT}: {error}"))?;
    let component = adapt::component(&input)?;
    let told = world::read(&component)?.to_string();
    std::fs::write(OUTPUT, component).map_err(|error| format!("{OUTPUT}: {error}"))?;
    std::io::stdout().write_all(told.as_bytes()).map_err(|error| format!("standard output: {error}"))
}
