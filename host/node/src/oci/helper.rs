//! Logins that docker keeps in a program of the user's system, `docker-credential-NAME`.
//!
//! <https://github.com/docker/docker-credential-helpers>: `get` reads the name of a server and answers in JSON.
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use super::Login;
use crate::limits::{CREDENTIAL_HELPER_BYTES_MAX, CREDENTIAL_HELPER_TIMEOUT};

/// A program to ask, and what to ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    pub program: String,
    pub server: String,
}

#[derive(Debug, thiserror::Error)]
pub enum HelperError {
    #[error("the docker config file names the credential helper {0}, which is not installed")]
    Missing(String),
    #[error("the credential helper {program} failed: {reason}")]
    Failed { program: String, reason: String },
    #[error("the credential helper {program} did not answer within {} s", CREDENTIAL_HELPER_TIMEOUT.as_secs())]
    Silent { program: String },
    #[error(
        "the credential helper {program} keeps an identity token for {server}, and minicloud takes passwords: log in with an access token"
    )]
    IdentityToken { program: String, server: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Said on standard output by a helper that knows no login.
const NONE: [&str; 2] = ["credentials not found in native keychain", "no credentials server URL"];
/// The username of what is no password.
const TOKEN: &str = "<token>";

impl Helper {
    /// The login that the program keeps, if it keeps one.
    pub async fn get(&self) -> Result<Option<Login>, HelperError> {
        let program = || self.program.clone();
        let asked = timeout(CREDENTIAL_HELPER_TIMEOUT, self.ask()).await;
        let output = match asked.map_err(|_| HelperError::Silent { program: program() })? {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(HelperError::Missing(program())),
            other => other.map_err(|error| HelperError::Failed { program: program(), reason: error.to_string() })?,
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return match said.trim() {
                none if NONE.contains(&none) => Ok(None),
                "" => Err(HelperError::Failed { program: program(), reason: output.status.to_string() }),
                reason => Err(HelperError::Failed { program: program(), reason: reason.lines().next().unwrap_or_default().to_owned() }),
            };
        }
        match serde_json::from_str::<Answer>(&said) {
            Ok(answer) if answer.username == TOKEN => Err(HelperError::IdentityToken { program: program(), server: self.server.clone() }),
            Ok(answer) => Ok(Some(Login { username: answer.username, password: answer.secret })),
            Err(error) => Err(HelperError::Failed { program: program(), reason: format!("its answer is not understood: {error}") }),
        }
    }

    async fn ask(&self) -> std::io::Result<Output> {
        let mut command = Command::new(&self.program);
        command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends without reading has its reason.
            let _ = stdin.write_all(self.server.as_bytes()).await;
        }
        let mut stdout = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            pipe.take(CREDENTIAL_HELPER_BYTES_MAX).read_to_end(&mut stdout).await?;
        }
        Ok(Output { status: child.wait().await?, stdout, stderr: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    async fn answer(script: &str) -> Result<Option<Login>, HelperError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helper { program: path.display().to_string(), server: "r.io".into() }.get().await
    }

    #[tokio::test]
    async fn a_program_is_asked_and_its_answer_read() {
        let login =
            answer(r#"read server; test "$1" = get && printf '{"ServerURL":"%s","Username":"me","Secret":"%s-word"}' $server $server"#);
        assert_eq!(login.await.unwrap(), Some(Login { username: "me".into(), password: "r.io-word".into() }));
        assert_eq!(answer("echo credentials not found in native keychain; exit 1").await.unwrap(), None);
        let error = |script: &'static str| async move { answer(script).await.unwrap_err().to_string() };
        assert!(error("echo the keyring is locked; exit 1").await.ends_with("failed: the keyring is locked"));
        assert!(error("exit 3").await.contains("exit status: 3"));
        assert!(error("echo hello").await.contains("is not understood"));
        assert!(error(r#"echo '{"Username":"<token>","Secret":"x"}'"#).await.contains("identity token for r.io"));
        let missing = Helper { program: "docker-credential-no-such".into(), server: "r.io".into() };
        assert!(missing.get().await.unwrap_err().to_string().contains("docker-credential-no-such, which is not installed"));
        // From here on time passes when nothing else happens. (One test, as a script cannot be run while it is written.)
        tokio::time::pause();
        assert!(matches!(answer("exec sleep 600").await, Err(HelperError::Silent { .. })));
    }
}
