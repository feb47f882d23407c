//! Logins, from the file where `docker login` keeps them.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A user of a registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Login {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// The login for a registry of whoever runs this process, if the file has one.
pub fn find(registry: &str) -> Option<Login> {
    let text = std::fs::read(path()?).ok()?;
    read(&text, registry)
}

fn path() -> Option<PathBuf> {
    let folder = match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(&std::env::var_os("HOME")?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

fn read(text: &[u8], registry: &str) -> Option<Login> {
    let config: ConfigFile = serde_json::from_slice(text).ok()?;
    let host = |key: &str| {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        bare.split('/').next().unwrap_or(bare).to_owned()
    };
    let entry = config.auths.into_iter().find(|(key, _)| host(key) == registry)?.1;
    if let Some(auth) = entry.auth.filter(|auth| !auth.is_empty()) {
        let plain = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
        let (username, password) = plain.split_once(':')?;
        return Some(Login { username: username.to_owned(), password: password.trim_end_matches('\0').to_owned() });
    }
    Some(Login { username: entry.username?, password: entry.password? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_its_registry() {
        let text = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"r.io:5000":{"username":"a","password":"b:c"},"empty.io":{}},"credsStore":"x"}"#;
        let login = |username: &str, password: &str| Some(Login { username: username.into(), password: password.into() });
        assert_eq!(read(text, "index.docker.io"), login("u", "p"));
        assert_eq!(read(text, "r.io:5000"), login("a", "b:c"));
        assert_eq!(read(text, "r.io"), None);
        assert_eq!(read(text, "empty.io"), None);
        assert_eq!(read(b"{", "r.io"), None);
        assert!(!format!("{:?}", login("a", "secret")).contains("secret"));
    }
}
