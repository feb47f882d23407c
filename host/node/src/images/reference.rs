//! How images are named: `[REGISTRY/]PATH[:TAG]`, as in Docker. Without a registry a name means an image of this node.
use std::fmt;
use std::str::FromStr;

const TAG_DEFAULT: &str = "latest";
/// Characters of a whole name, as registries bound it.
const NAME_LENGTH_MAX: usize = 255;
const TAG_LENGTH_MAX: usize = 128;

/// A name that an image can have. Text: always with the tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host, and port where one is given.
    pub registry: Option<String>,
    pub path: String,
    pub tag: String,
    /// `sha256:…` of a manifest; it decides, and the tag is only shown.
    pub manifest: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no name of an image: {reason}")]
pub struct ParseReferenceError {
    text: String,
    reason: &'static str,
}

impl Reference {
    /// Without registry and with the default tag: what a bundled image is called.
    pub fn plain(&self) -> Option<&str> {
        (self.registry.is_none() && self.tag == TAG_DEFAULT && self.manifest.is_none()).then_some(&self.path)
    }

    /// As a user would write it, without a default tag.
    pub fn short(&self) -> String {
        self.to_string().strip_suffix(":latest").map_or_else(|| self.to_string(), str::to_owned)
    }

    /// The name without its tag.
    pub fn repository(&self) -> String {
        match &self.registry {
            Some(registry) => format!("{registry}/{}", self.path),
            None => self.path.clone(),
        }
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Reference, ParseReferenceError> {
        let error = |reason| ParseReferenceError { text: text.to_owned(), reason };
        let (name, manifest) = match text.split_once('@') {
            Some((_, digest)) if digest.parse::<minicloud_core::spec::Digest>().is_err() => {
                return Err(error("behind '@' stands sha256: and 64 hex digits"));
            }
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let (registry, rest) = match name.split_once('/') {
            Some((host, rest)) if is_host(host) => (Some(host), rest),
            _ => (None, name),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, tag),
            None => (rest, TAG_DEFAULT),
        };
        if name.len() > NAME_LENGTH_MAX {
            return Err(error("it is longer than 255 characters"));
        }
        if !path.split('/').all(is_path_part) {
            return Err(error("between slashes stand lower-case letters and digits, with '.', '_' or '-' between them"));
        }
        if !is_tag(tag) {
            return Err(error("a tag has letters, digits, '.', '_' and '-', at most 128"));
        }
        if registry.is_some_and(|host| !is_authority(host)) {
            return Err(error("its registry is no HOST[:PORT]"));
        }
        Ok(Reference { registry: registry.map(str::to_owned), path: path.to_owned(), tag: tag.to_owned(), manifest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository(), self.tag)?;
        match &self.manifest {
            Some(manifest) => write!(f, "@{manifest}"),
            None => Ok(()),
        }
    }
}

/// Whether the first part of a name is a registry: as in Docker, it has a dot or a port, or is localhost.
fn is_host(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':'])
}

fn is_authority(host: &str) -> bool {
    let parsed = host.parse::<http::uri::Authority>();
    parsed.is_ok_and(|authority| {
        let port_is_a_number = authority.host().len() == host.len() || authority.port_u16().is_some();
        !authority.host().is_empty() && !host.contains('@') && port_is_a_number
    })
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, from the distribution specification.
fn is_path_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|separator| !separator.is_empty());
    let edges = part.starts_with(alphanumeric) && part.ends_with(alphanumeric);
    edges && separators.into_iter().all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word) && tag.len() <= TAG_LENGTH_MAX && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, registry, path, tag) in [
            ("redis", None, "redis", "latest"),
            ("team/app:v1", None, "team/app", "v1"),
            ("127.0.0.1:5000/hasher:v0.1", Some("127.0.0.1:5000"), "hasher", "v0.1"),
            ("localhost/a/b", Some("localhost"), "a/b", "latest"),
            ("[::1]:5000/a", Some("[::1]:5000"), "a", "latest"),
            ("ghcr.io/org/my-app_x.y:2", Some("ghcr.io"), "org/my-app_x.y", "2"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.registry.as_deref(), reference.path.as_str(), reference.tag.as_str()), (registry, path, tag), "{text}");
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
        }
        assert_eq!("redis".parse::<Reference>().unwrap().plain(), Some("redis"));
        assert_eq!("redis:7".parse::<Reference>().unwrap().plain(), None);
        assert_eq!("a.b/c:latest".parse::<Reference>().unwrap().short(), "a.b/c");
    }

    #[test]
    fn a_digest_is_kept() {
        let text = format!("r.io/a:v1@sha256:{}", "0".repeat(64));
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.manifest.as_deref(), Some(&text["r.io/a:v1@".len()..]));
        assert_eq!(reference.to_string(), text);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "Redis", "a//b", "/a", "a/", "a:", "a:b:c", "-a", "a..b", "a:v/1", "a b", "ä", "x.y:/a", "a@sha256:12", "r.io:p/a"]
        {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }
}
