//! `KEY=VALUE`, in labels, in the environment, in files of it, and in `scale`.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};

/// One `KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    pub key: String,
    pub value: String,
}

/// A label: `KEY=VALUE`, or `KEY` for an empty value.
pub fn key_value(text: &str) -> Result<KeyValue, String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err(format!("'{text}' names no key; write KEY=VALUE, for example disk=ssd"));
    }
    Ok(KeyValue { key: key.to_owned(), value: value.to_owned() })
}

/// A variable of the environment. Without a value it is taken from the environment of this command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvArg {
    pub key: String,
    pub value: Option<String>,
}

/// `KEY=VALUE`, or `KEY`.
pub fn env(text: &str) -> Result<EnvArg, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (text, None),
    };
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(format!("'{text}' names no variable; write KEY=VALUE, for example LOG=debug"));
    }
    Ok(EnvArg { key: key.to_owned(), value })
}

/// The variables of a file: one on each line; empty lines and lines that begin with `#` mean nothing.
pub fn env_file(path: &Path) -> anyhow::Result<Vec<EnvArg>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("--env-file {}", path.display()))?;
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match env(line) {
            Ok(variable) => variables.push(variable),
            Err(message) => bail!("{}:{}: {message}", path.display(), number + 1),
        }
    }
    Ok(variables)
}

/// The later of two wins; a name without a value takes it from `own`, and is left out where that has none.
pub fn resolve_env(variables: impl IntoIterator<Item = EnvArg>, own: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let mut resolved = BTreeMap::new();
    for EnvArg { key, value } in variables {
        match value.or_else(|| own(&key)) {
            Some(value) => resolved.insert(key, value),
            None => resolved.remove(&key),
        };
    }
    resolved
}

/// `SERVICE=REPLICAS`.
pub fn scale(text: &str) -> Result<(String, u32), String> {
    let fail = || format!("'{text}' is not of the form SERVICE=REPLICAS; write for example worker=10");
    let (service, replicas) = text.split_once('=').ok_or_else(fail)?;
    let replicas = replicas.parse().map_err(|_| fail())?;
    if service.is_empty() { Err(fail()) } else { Ok((service.to_owned(), replicas)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_may_be_empty_but_have_a_name() {
        assert_eq!(key_value("a=b=c").unwrap(), KeyValue { key: "a".into(), value: "b=c".into() });
        assert_eq!(key_value("a").unwrap(), KeyValue { key: "a".into(), value: String::new() });
        assert!(key_value("=b").unwrap_err().contains("for example disk=ssd"));
    }

    #[test]
    fn the_environment_is_taken_over_by_name() {
        let own = |key: &str| (key == "HOME").then(|| "/root".to_owned());
        let variables = ["A=1", "HOME", "ABSENT", "A=2", "B="].map(|text| env(text).unwrap());
        let resolved: Vec<(String, String)> = resolve_env(variables, own).into_iter().collect();
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(resolved, [text("A", "2"), text("B", ""), text("HOME", "/root")]);
        for wrong in ["", "=1", "two words=1"] {
            assert!(env(wrong).unwrap_err().contains("for example LOG=debug"), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_variables_names_the_wrong_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, "# comment\n\nA=1 2\nB\n").unwrap();
        let variables = env_file(&path).unwrap();
        assert_eq!(variables, [EnvArg { key: "A".into(), value: Some("1 2".into()) }, EnvArg { key: "B".into(), value: None }]);
        std::fs::write(&path, "A=1\n=2\n").unwrap();
        assert!(
            env_file(&path).unwrap_err().to_string().ends_with("env:2: '=2' names no variable; write KEY=VALUE, for example LOG=debug")
        );
        assert!(env_file(&folder.path().join("absent")).unwrap_err().to_string().contains("absent"));
    }

    #[test]
    fn scale_takes_a_service_and_a_number() {
        assert_eq!(scale("worker=10"), Ok(("worker".to_owned(), 10)));
        for text in ["worker", "worker=", "worker=ten", "worker=-1", "=3", "worker=99999999999"] {
            assert_eq!(scale(text), Err(format!("'{text}' is not of the form SERVICE=REPLICAS; write for example worker=10")));
        }
    }
}
