//! Registries that want TLS and a login: Debian's `docker-registry` with passwords, and with tokens from a server that
//! this test is. Logins come from the docker config file, and from a credential helper.
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::programs::{Background, installed, output, skip};
use crate::support::{Cluster, Node, wait_for};

const USER: &str = "friend";
const PASSWORD: &str = "open sesame";
/// Of the password, by bcrypt.
const HTPASSWD: &str = "friend:$2b$04$XcEUZGcPOXEZUuMVtOI5ueABU7yMt.dDZ0e5ZxYSExpMQ8IhDFh/S\n";

/// A registry behind TLS, on an address of this machine that is no loopback address, as those are plain.
struct Secured {
    _process: Background,
    name: String,
    folder: PathBuf,
}

/// `None`: not here; the test says why.
fn secured(cluster: &Cluster, auth: impl FnOnce(&Path) -> Vec<(&'static str, String)>) -> Option<Secured> {
    if !installed(&["docker-registry", "openssl"]) {
        return None;
    }
    let addresses = if_addrs::get_if_addrs().unwrap();
    let Some(ip) = addresses.iter().map(if_addrs::Interface::ip).find(|ip| ip.is_ipv4() && !ip.is_loopback()) else {
        skip("the machine has no address beside those of loopback");
        return None;
    };
    let folder = cluster.folder().join("registry");
    std::fs::create_dir(&folder).unwrap();
    certify(&folder, ip);
    let address = free(ip);
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(folder.join("config.yml"), "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {}}\nhttp: {}\n").unwrap();
    let mut command = Command::new("docker-registry");
    command.args(["serve", &path("config.yml")]).stderr(std::process::Stdio::null());
    command.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", path("data")).env("REGISTRY_HTTP_ADDR", address.to_string());
    command.env("REGISTRY_HTTP_TLS_CERTIFICATE", path("server.crt")).env("REGISTRY_HTTP_TLS_KEY", path("server.key"));
    command.envs(auth(&folder));
    let process = Background::start(command);
    wait_for("the registry listens", || TcpStream::connect(address).ok());
    Some(Secured { _process: process, name: address.to_string(), folder })
}

fn free(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}

/// An authority, and what it certifies.
fn certify(folder: &Path, ip: IpAddr) {
    std::fs::write(folder.join("names"), format!("subjectAltName=IP:{ip}\n")).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let (authority, key) = (path("ca.crt"), path("ca.key"));
    let request = ["req", "-newkey", "rsa:2048", "-nodes", "-subj"];
    output("openssl", &[&request[..], &["/CN=an authority", "-x509", "-days", "2", "-keyout", &key, "-out", &authority]].concat());
    output("openssl", &[&request[..], &["/CN=a registry", "-keyout", &path("server.key"), "-out", &path("server.csr")]].concat());
    let sign = ["x509", "-req", "-days", "2", "-CAcreateserial", "-CA", &authority, "-CAkey", &key];
    let (csr, names, crt) = (path("server.csr"), path("names"), path("server.crt"));
    output("openssl", &[&sign[..], &["-in", &csr, "-extfile", &names, "-out", &crt]].concat());
    output("openssl", &["x509", "-in", &authority, "-outform", "DER", "-out", &path("ca.der")]);
}

/// A user whose docker settings stand in a folder of the test.
struct User {
    settings: PathBuf,
    cluster: Cluster,
}

impl User {
    fn new(mut cluster: Cluster) -> User {
        let settings = cluster.folder().join("docker");
        std::fs::create_dir(&settings).unwrap();
        cluster.add_node();
        let user = User { settings, cluster };
        let (listen, dns) = (format!("{}:2377", user.node().ip), format!("{}:5353", user.node().ip));
        user.ok(&["init", "--listen-addr", &listen, "--dns-addr", &dns]);
        user
    }

    fn node(&self) -> &Node {
        &self.cluster.nodes[0]
    }

    /// Whether it went well, and what was said.
    fn run(&self, args: &[&str]) -> (bool, String) {
        let path = std::env::var("PATH").unwrap();
        let mut command = self.node().command(args);
        command.env("DOCKER_CONFIG", &self.settings).env("PATH", format!("{}:{path}", self.settings.display()));
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let (well, said) = self.run(args);
        assert!(well, "{args:?}: {said}");
        said
    }

    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let (well, said) = self.run(args);
        assert!(!well, "{args:?} was not refused: {said}");
        said
    }

    fn trusts(&self, registry: &Secured) {
        let folder = self.settings.join("certs.d").join(&registry.name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(registry.folder.join("ca.crt"), folder.join("ca.crt")).unwrap();
    }

    fn settings(&self, text: &str) {
        std::fs::write(self.settings.join("config.json"), text).unwrap();
    }

    fn logs_in(&self, registry: &Secured, password: &str) {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        self.settings(&format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.name));
    }

    /// Pushes, pulls by another name's absence, and runs an image of the registry.
    fn uses(&self, image: &str) {
        self.ok(&["push", image]);
        self.ok(&["image", "rm", image]);
        assert!(self.ok(&["pull", image]).contains("digest: sha256:"));
        self.ok(&["service", "create", "--name", "rng", "-p", "8001:80", image]);
        assert!(self.node().http(8001, "/").unwrap().1.starts_with("RNG running"));
        self.ok(&["service", "rm", "rng"]);
    }
}

#[test]
fn a_registry_with_tls_and_passwords() {
    let user = User::new(Cluster::empty());
    let passwords = |folder: &Path| {
        std::fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
        let path = folder.join("htpasswd").display().to_string();
        vec![("REGISTRY_AUTH", "htpasswd".into()), ("REGISTRY_AUTH_HTPASSWD_REALM", "here".into()), ("REGISTRY_AUTH_HTPASSWD_PATH", path)]
    };
    let Some(registry) = secured(&user.cluster, passwords) else { return };
    let image = format!("{}/tools/rng:v1", registry.name);
    user.ok(&["tag", "rng", &image]);
    let unknown = user.refused(&["push", &image]);
    assert!(unknown.contains("is not trusted") && unknown.contains(&format!("/etc/docker/certs.d/{}/ca.crt", registry.name)), "{unknown}");
    user.trusts(&registry);
    for password in [None, Some("guessed")] {
        password.inspect(|password| user.logs_in(&registry, password));
        let refused = user.refused(&["push", &image]);
        assert!(refused.contains(&format!("the registry {} wants a login", registry.name)), "{refused}");
    }
    user.logs_in(&registry, PASSWORD);
    user.uses(&image);
    a_helper_keeps_the_login(&user, &registry, &image);
}

fn a_helper_keeps_the_login(user: &User, registry: &Secured, image: &str) {
    let helper = |name: &str, script: &str| {
        let path = user.settings.join(format!("docker-credential-{name}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    helper("own", &format!(r#"read server; echo "{{\"ServerURL\":\"$server\",\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}""#));
    helper("all", "echo credentials not found in native keychain; exit 1");
    user.settings(&format!(r#"{{"credsStore":"all","credHelpers":{{"{}":"own"}}}}"#, registry.name));
    user.uses(image);
    user.settings(r#"{"credsStore":"all"}"#);
    let refused = user.refused(&["pull", image]);
    assert!(refused.contains("wants a login") && !refused.contains("warning"), "{refused}");
    user.settings(r#"{"credsStore":"absent"}"#);
    let refused = user.refused(&["pull", image]);
    assert!(refused.contains("docker-credential-absent, which is not installed") && refused.contains("wants a login"), "{refused}");
}

#[test]
fn a_registry_with_tls_and_tokens() {
    let user = User::new(Cluster::empty());
    let listener = TcpListener::bind((user.node().ip, 0)).unwrap();
    let realm = format!("http://{}/token", listener.local_addr().unwrap());
    let tokens = |folder: &Path| {
        let bundle = folder.join("ca.crt").display().to_string();
        let of = |name, value: &str| (name, value.to_owned());
        vec![
            of("REGISTRY_AUTH", "token"),
            of("REGISTRY_AUTH_TOKEN_REALM", &realm),
            of("REGISTRY_AUTH_TOKEN_SERVICE", "images"),
            of("REGISTRY_AUTH_TOKEN_ISSUER", "the test"),
            of("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", &bundle),
        ]
    };
    let Some(registry) = secured(&user.cluster, tokens) else { return };
    let folder = registry.folder.clone();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|stream| answer(&folder, stream)));
    let image = format!("{}/tools/rng:v1", registry.name);
    user.ok(&["tag", "rng", &image]);
    user.trusts(&registry);
    user.logs_in(&registry, "guessed");
    let refused = user.refused(&["push", &image]);
    assert!(refused.contains("wants a login"), "{refused}");
    user.logs_in(&registry, PASSWORD);
    user.uses(&image);
}

/// Gives a token for what is asked, to who knows the password.
fn answer(folder: &Path, mut stream: TcpStream) {
    let head: Vec<String> = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let expected = format!("authorization: basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")).to_lowercase());
    let known = head.iter().any(|line| line.to_lowercase() == expected);
    let target = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let url = url::Url::parse("http://test").unwrap().join(target).unwrap();
    let scopes = url.query_pairs().filter(|(key, _)| key == "scope").map(|(_, scope)| scope.into_owned()).collect::<Vec<_>>();
    let (status, body) = match known {
        true => ("200 OK", serde_json::json!({"token": token(folder, &scopes)}).to_string()),
        false => ("401 Unauthorized", r#"{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}"#.to_owned()),
    };
    let length = body.len();
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
}

/// <https://distribution.github.io/distribution/spec/auth/jwt/>
fn token(folder: &Path, scopes: &[String]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let access: Vec<_> = scopes
        .iter()
        .filter_map(|scope| {
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            Some(serde_json::json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
        })
        .collect();
    let certificate = STANDARD.encode(std::fs::read(folder.join("ca.der")).unwrap());
    let header = serde_json::json!({"typ": "JWT", "alg": "RS256", "x5c": [certificate]});
    let claims = serde_json::json!({
        "iss": "the test", "sub": USER, "aud": "images", "jti": now.to_string(),
        "iat": now - 5, "nbf": now - 5, "exp": now + 300, "access": access,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let path = |name: &str| folder.join(name).display().to_string();
    std::fs::write(folder.join("signed"), &signed).unwrap();
    output("openssl", &["dgst", "-sha256", "-sign", &path("ca.key"), "-out", &path("signature"), &path("signed")]);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(std::fs::read(folder.join("signature")).unwrap()))
}
