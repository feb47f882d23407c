//! Logins, from the file where `docker login` keeps them, or names the program that does.
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::helper::Helper;

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

/// `config.json` of docker, as far as it is about logins.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    /// Program that keeps all logins: `docker-credential-NAME`.
    creds_store: Option<String>,
    /// Programs that keep those of some registries.
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

/// What Docker Hub is called in the file; its login stands under one name.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// Folder of docker's settings of whoever runs this process.
pub fn folder() -> Option<PathBuf> {
    match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => Some(PathBuf::from(folder)),
        None => Some(Path::new(&std::env::var_os("HOME")?).join(".docker")),
    }
}

impl DockerConfig {
    /// That of whoever runs this process; where there is none, or none that can be read, it says nothing.
    pub fn own() -> DockerConfig {
        let text = folder().and_then(|folder| std::fs::read(folder.join("config.json")).ok());
        text.map_or_else(DockerConfig::default, |text| DockerConfig::read(&text))
    }

    fn read(text: &[u8]) -> DockerConfig {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// The login that stands in the file itself.
    pub fn login(&self, registry: &str) -> Option<Login> {
        entry(&self.auths, registry).and_then(|(_, entry)| entry.login())
    }

    /// The program to ask for the registry's login.
    pub fn helper(&self, registry: &str) -> Option<Helper> {
        let own = entry(&self.cred_helpers, registry).map(|(_, name)| name);
        let name = own.or(self.creds_store.as_ref()).filter(|name| !name.is_empty())?;
        let server = match (entry(&self.auths, registry), HUB.contains(&registry)) {
            (Some((key, _)), _) => key.as_str(),
            (None, true) => HUB_SERVER,
            (None, false) => registry,
        };
        Some(Helper { program: format!("docker-credential-{name}"), server: server.to_owned() })
    }
}

/// What stands under a registry's name, which may be written as an address.
fn entry<'a, T>(map: &'a BTreeMap<String, T>, registry: &str) -> Option<(&'a String, &'a T)> {
    let same = |key: &str| {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        let host = bare.split('/').next().unwrap_or(bare);
        host == registry || (HUB.contains(&host) && HUB.contains(&registry))
    };
    map.iter().find(|(key, _)| same(key))
}

impl Entry {
    fn login(&self) -> Option<Login> {
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Some(Login { username: self.username.clone()?, password: self.password.clone()? });
        };
        let plain = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
        let (username, password) = plain.split_once(':')?;
        Some(Login { username: username.to_owned(), password: password.trim_end_matches('\0').to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_by_its_registry() {
        let text = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"r.io:5000":{"username":"a","password":"b:c"},"empty.io":{}},"credsStore":"x"}"#;
        let login = |username: &str, password: &str| Some(Login { username: username.into(), password: password.into() });
        let config = DockerConfig::read(text);
        assert_eq!(config.login("index.docker.io"), login("u", "p"));
        assert_eq!(config.login("docker.io"), login("u", "p"));
        assert_eq!(config.login("r.io:5000"), login("a", "b:c"));
        assert_eq!(config.login("r.io"), None);
        assert_eq!(config.login("empty.io"), None);
        assert_eq!(DockerConfig::read(b"{").login("r.io"), None);
        assert!(!format!("{:?}", login("a", "secret")).contains("secret"));
    }

    #[test]
    fn a_registry_s_own_program_comes_before_that_of_all() {
        let config = DockerConfig::read(br#"{"auths":{"https://r.io":{}},"credsStore":"all","credHelpers":{"gcr.io":"gcloud"}}"#);
        let helper = |registry| config.helper(registry).map(|helper| (helper.program, helper.server));
        let expected = |name: &str, server: &str| Some((format!("docker-credential-{name}"), server.to_owned()));
        assert_eq!(helper("gcr.io"), expected("gcloud", "gcr.io"));
        assert_eq!(helper("r.io"), expected("all", "https://r.io"));
        assert_eq!(helper("docker.io"), expected("all", HUB_SERVER));
        assert_eq!(helper("other.io:5000"), expected("all", "other.io:5000"));
        assert!(DockerConfig::read(br#"{"credsStore":""}"#).helper("r.io").is_none());
    }
}
