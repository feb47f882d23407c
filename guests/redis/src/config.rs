//! Settings: arguments of the program, and `CONFIG GET`. Pure.

use crate::glob;
use crate::limits::{BULK_BYTES_MAX, CLIENTS_MAX, DATABASES, PUSHED_BYTES_MAX};

/// When what was appended is brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppendFsync {
    /// Before anything is acknowledged.
    Always,
    #[default]
    Everysec,
    /// When the operating system likes.
    No,
}

impl AppendFsync {
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "always" => Some(Self::Always),
            "everysec" => Some(Self::Everysec),
            "no" => Some(Self::No),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Everysec => "everysec",
            Self::No => "no",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub append_fsync: AppendFsync,
    /// Whether there is an append-only file; set once the volume has been found.
    pub append_only: bool,
    pub port: u16,
}

impl Default for Config {
    fn default() -> Self {
        Self { append_fsync: AppendFsync::default(), append_only: true, port: 6379 }
    }
}

impl Config {
    /// Reads the arguments behind the program's name: `--appendfsync always|everysec|no`,
    /// `--appendonly yes|no`, `--port N`.
    pub fn from_arguments(arguments: &[String]) -> Result<Self, String> {
        let mut config = Self::default();
        let mut words = arguments.iter().flat_map(|word| {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(n, v)| (n, Some(v)));
            std::iter::once(name).chain(value)
        });
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            let invalid = || format!("invalid value {value:?} for {name}");
            match name {
                "--appendfsync" => {
                    config.append_fsync = AppendFsync::parse(value).ok_or_else(invalid)?;
                }
                "--appendonly" => {
                    config.append_only = match value {
                        "yes" => true,
                        "no" => false,
                        _ => return Err(invalid()),
                    };
                }
                "--port" => config.port = value.parse().map_err(|_| invalid())?,
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(config)
    }

    /// The settings whose names match one of the patterns.
    pub fn matching(&self, patterns: &[Vec<u8>]) -> Vec<(&'static str, String)> {
        let wanted = |name: &str| {
            let name = name.as_bytes();
            patterns.iter().any(|pattern| glob::matches(&pattern.to_ascii_lowercase(), name))
        };
        let yes_no = if self.append_only { "yes" } else { "no" };
        let settings = [
            ("appendfilename", "appendonly.aof".to_owned()),
            ("appendfsync", self.append_fsync.name().to_owned()),
            ("appendonly", yes_no.to_owned()),
            ("bind", "0.0.0.0".to_owned()),
            ("client-output-buffer-limit", format!("pubsub {PUSHED_BYTES_MAX} 0 0")),
            ("databases", DATABASES.to_string()),
            ("dir", "/data".to_owned()),
            ("maxclients", CLIENTS_MAX.to_string()),
            ("maxmemory", "0".to_owned()),
            ("maxmemory-policy", "noeviction".to_owned()),
            ("port", self.port.to_string()),
            ("proto-max-bulk-len", BULK_BYTES_MAX.to_string()),
            ("save", String::new()),
            ("timeout", "0".to_owned()),
        ];
        settings.into_iter().filter(|(name, _)| wanted(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Config::from_arguments(&words)
    }

    #[test]
    fn arguments_in_both_forms() {
        assert_eq!(config("").unwrap(), Config::default());
        assert_eq!(config("--appendfsync always").unwrap().append_fsync, AppendFsync::Always);
        assert_eq!(config("--appendfsync=no --port 7000").unwrap().port, 7000);
        assert!(!config("--appendonly no").unwrap().append_only);
        for line in ["--appendfsync", "--appendfsync never", "--port x", "--what x"] {
            assert!(config(line).is_err(), "{line}");
        }
    }

    #[test]
    fn settings_by_pattern() {
        let config = Config::default();
        let found = config.matching(&[b"SAVE".to_vec(), b"append*".to_vec()]);
        let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["appendfilename", "appendfsync", "appendonly", "save"]);
    }
}
