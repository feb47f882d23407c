//! A program on the standard library alone, for tests of the host. The first argument says what to
//! do. What went well is on standard output, what did not on standard error with exit code 1. WASI 0.2
//! knows only success and failure: any other exit code than 0 reaches the host as 1.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is what it is for")]

mod net;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode, Box<dyn Error>> {
    match words {
        [] | ["hello"] => println!("hello"),
        ["args", rest @ ..] => println!("{rest:?}"),
        ["exit", code] => return Ok(ExitCode::from(code.parse::<u8>()?)),
        ["trap"] => std::process::abort(),
        ["panic"] => panic!("as asked"),
        ["spin"] => spin(),
        ["eat", mib] => eat(mib.parse()?)?,
        ["env"] => env(),
        ["cat", path] => print!("{}", std::fs::read_to_string(path)?),
        ["sleep-cat", ms, path] => {
            std::thread::sleep(Duration::from_millis(ms.parse()?));
            print!("{}", std::fs::read_to_string(path)?);
        }
        ["await", path] => {
            while !std::fs::exists(path)? {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        ["size", path] => println!("{} bytes", std::fs::metadata(path)?.len()),
        ["rename", from, to] => std::fs::rename(from, to)?,
        ["write", path, text] => std::fs::write(path, format!("{text}\n"))?,
        ["ls", path] => list(path)?,
        ["sleep", ms] => std::thread::sleep(Duration::from_millis(ms.parse()?)),
        ["stderr"] => eprintln!("to stderr"),
        ["lines", count] => (1..=count.parse::<u32>()?).for_each(|number| println!("line {number}")),
        ["time"] => println!("{}", std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs()),
        words => net::run(words)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn spin() {
    println!("spinning");
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Allocates and touches so many MiB, one at a time, and tells how far it came.
fn eat(mib: usize) -> Outcome {
    const MIB: usize = 1024 * 1024;
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    for number in 0..mib {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(MIB).is_err() {
            return Err(format!("no memory after {number} MiB").into());
        }
        piece.resize(MIB, 1);
        eaten.push(std::hint::black_box(piece));
    }
    println!("ate {} MiB", eaten.len());
    Ok(())
}

fn env() {
    let mut variables: Vec<(String, String)> = std::env::vars().collect();
    variables.sort();
    for (name, value) in variables {
        println!("{name}={value}");
    }
}

fn list(path: &str) -> Outcome {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(path)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}
