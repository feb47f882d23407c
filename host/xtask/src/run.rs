//! Running other programs, from the root of the repository, with errors that name the command.
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the package stands two folders below the root")
}

/// Cargo's target folder for the host.
pub fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Runs `program` in `folder` (relative to the root) and fails unless it ends well.
pub fn program(folder: &str, program: &str, args: &[&str]) -> anyhow::Result<()> {
    let line = format!("{program} {}", args.join(" "));
    eprintln!("\x1b[2m+ {line}\x1b[0m");
    let status = Command::new(program).args(args).current_dir(root().join(folder)).status();
    let status = status.with_context(|| format!("'{program}' could not be started; is it installed?"))?;
    if !status.success() {
        bail!("'{line}' failed in {}", root().join(folder).display());
    }
    Ok(())
}

/// The cargo that runs us.
pub fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// See [`cargo_program`].
pub fn cargo(args: &[&str]) -> anyhow::Result<()> {
    program(".", &cargo_program(), args)
}

/// What a command printed, or `None` when it is missing or failed.
pub fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program stands on the path.
pub fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Becomes `program subcommand args`, so that Ctrl-C and the exit code are the program's own.
pub fn replace(program: PathBuf, subcommand: &str, args: &[String]) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt;
    let error = Command::new(&program).arg(subcommand).args(args).exec();
    Err(error).with_context(|| format!("{} could not be started", program.display()))
}
