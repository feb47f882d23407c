//! Which node a command means: the one in `--data-dir`, else the only one of this user that runs.
//!
//! A node that runs leaves its folder's path in the user's registry; what it says is checked before it is believed.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// What the user said about the data directory.
pub struct Choice {
    given: Option<PathBuf>,
}

impl Choice {
    pub fn new(given: Option<PathBuf>) -> Self {
        Choice { given }
    }

    /// The folder of a node that is to be created or started.
    pub fn for_new(&self) -> anyhow::Result<PathBuf> {
        let folder = match &self.given {
            Some(folder) => folder.clone(),
            None => default_folder()?,
        };
        std::path::absolute(&folder).with_context(|| format!("--data-dir {}", folder.display()))
    }

    /// The folder given, made absolute, or `default`.
    pub fn given_or(&self, default: impl FnOnce() -> anyhow::Result<PathBuf>) -> anyhow::Result<PathBuf> {
        if self.given.is_some() { self.for_new() } else { default() }
    }

    /// The folder of a node that runs.
    pub fn for_running(&self) -> anyhow::Result<PathBuf> {
        if self.given.is_some() {
            return self.for_new();
        }
        let default = default_folder()?;
        let running = running()?;
        match running.as_slice() {
            [] => Ok(default),
            [only] => Ok(only.clone()),
            several if several.contains(&default) => Ok(default),
            several => {
                let list: Vec<String> = several.iter().map(|folder| folder.display().to_string()).collect();
                bail!("several nodes run here; say which one with --data-dir or MINICLOUD_DATA_DIR, one of {}", list.join(", "))
            }
        }
    }

    /// Whether the user named a folder.
    pub fn is_given(&self) -> bool {
        self.given.is_some()
    }

    /// ` --data-dir DIR` where a printed command needs it.
    pub fn flag(&self, folder: &Path) -> String {
        flag(folder)
    }
}

/// See [`Choice::flag`].
pub fn flag(folder: &Path) -> String {
    match default_folder() {
        Ok(default) if default == folder => String::new(),
        _ => format!(" --data-dir {}", shell_word(&folder.display().to_string())),
    }
}

/// `/var/lib/minicloud` for root, else in the user's data folder.
pub fn default_folder() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/minicloud"));
    }
    if let Some(folder) = std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder).join("minicloud"));
    }
    let home =
        std::env::var_os("HOME").context("neither HOME nor XDG_DATA_HOME is set; say where the node's data shall be with --data-dir")?;
    Ok(PathBuf::from(home).join(".local/share/minicloud"))
}

/// Folder with one file for each node of this user that was started.
fn registry() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()).map_or_else(std::env::temp_dir, PathBuf::from);
    base.join(format!("minicloud-{uid}"))
}

/// Notes that a node runs in `folder`. What cannot be written only costs the user a `--data-dir`.
pub fn register(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    let registry = registry();
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&registry);
    let _ = std::fs::write(registry.join(entry_name(folder)), folder.as_os_str().as_encoded_bytes());
}

/// Forgets the node in `folder`.
pub fn unregister(folder: &Path) {
    let _ = std::fs::remove_file(registry().join(entry_name(folder)));
}

fn entry_name(folder: &Path) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(folder.as_os_str().as_encoded_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Folders of the nodes of this user whose process lives.
pub fn running() -> anyhow::Result<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::MetadataExt;
    let registry = registry();
    let Ok(entries) = std::fs::read_dir(&registry) else { return Ok(Vec::new()) };
    // In a shared temporary folder somebody else may have made it.
    if std::fs::metadata(&registry).is_ok_and(|metadata| metadata.uid() != rustix::process::geteuid().as_raw()) {
        return Ok(Vec::new());
    }
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let folder = PathBuf::from(std::ffi::OsString::from_vec(std::fs::read(entry.path()).unwrap_or_default()));
        if process_lives(&folder) {
            folders.push(folder);
        } else {
            let _ = std::fs::remove_file(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// Whether the process that the folder names is alive.
pub fn process_lives(folder: &Path) -> bool {
    process_id(folder).is_some_and(lives)
}

/// Whether the process is alive and one of ours: the number of a node that was killed may be another program's by now.
pub fn lives(pid: rustix::process::Pid) -> bool {
    if rustix::process::test_kill_process(pid).is_err() {
        return false;
    }
    let own = std::env::current_exe().ok();
    match std::fs::read_link(format!("/proc/{}/exe", pid.as_raw_nonzero())) {
        Ok(program) => names_program(&program) || own.is_some_and(|own| own.file_name() == program.file_name()),
        // A process that ended and that nobody has waited for has no program any more.
        Err(error) => error.kind() != std::io::ErrorKind::NotFound || !Path::new("/proc/self/exe").exists(),
    }
}

/// `minicloud`, and `minicloud (deleted)` once it was replaced.
fn names_program(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"minicloud"))
}

/// The process that runs the node in `folder`, as its `minicloud.pid` says.
pub fn process_id(folder: &Path) -> Option<rustix::process::Pid> {
    let text = std::fs::read_to_string(folder.join("minicloud.pid")).ok()?;
    rustix::process::Pid::from_raw(text.trim().parse().ok()?)
}

/// `text` so that a shell reads it as one word.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// This program as the user can call it: its plain name where the path leads to it, else its path.
pub fn program() -> String {
    let Ok(own) = std::env::current_exe() else { return "minicloud".to_owned() };
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let first = on_path.map(|folder| folder.join("minicloud")).find(|program| program.is_file());
    let same = first.is_some_and(|program| program.canonicalize().ok() == own.canonicalize().ok());
    if same { "minicloud".to_owned() } else { shell_word(&own.display().to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_another_program_has_now_is_no_node() {
        assert!(lives(rustix::process::getpid()));
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&other);
        // Between its fork and its exec the child is still this program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while lives(pid) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(!lives(pid));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn an_ended_process_is_not_alive_though_nobody_waited_for_it() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while lives(pid) && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(rustix::process::test_kill_process(pid).is_ok() && !lives(pid));
        child.wait().unwrap();
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(shell_word("/tmp/n1"), "/tmp/n1");
        assert_eq!(shell_word("/my data"), "'/my data'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
