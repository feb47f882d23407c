//! Secrets and configs: small files that the cluster keeps and gives to tasks. They never change but for their labels.
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Labels;
use crate::id::FileId;

/// What a file is kept as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Sealed in the log and in the state; its content is shown to nobody but the tasks that have it.
    Secret,
    Config,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Secret => "secret",
            FileKind::Config => "config",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSpec {
    pub kind: FileKind,
    /// Unique among files of its kind.
    pub name: String,
    #[serde(default)]
    pub labels: Labels,
    /// The content; of a secret the sealed one.
    pub data: Payload,
    /// Bytes of the content as tasks see it.
    pub size_bytes: u64,
    /// Fingerprint of the key that sealed a secret.
    #[serde(default)]
    pub sealed_with: Option<Fingerprint>,
}

/// SHA-256 of a key.
pub type Fingerprint = [u8; 32];

/// A secret or config that a task has. It names the file by id: one that is made anew under the old name is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FileReference {
    pub id: FileId,
    /// As it was called when the service was declared.
    pub name: String,
    /// Absolute path inside the task.
    pub target: String,
    /// Permissions as the user gave them. WASI has none to show: only the task reads the file, and nobody writes it.
    #[serde(default = "mode_default")]
    pub mode: u32,
}

/// Permissions of a file that none were given for.
pub const FILE_MODE_DEFAULT: u32 = 0o444;

fn mode_default() -> u32 {
    FILE_MODE_DEFAULT
}

impl FileKind {
    /// Where a file is found that no path was given for, or only the last part of one.
    pub fn folder(self) -> &'static str {
        match self {
            FileKind::Secret => "/run/secrets/",
            FileKind::Config => "/",
        }
    }
}

/// Bytes that `Debug` does not show. Cloning is O(1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Payload(Arc<[u8]>);

impl Payload {
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Payload {
        Payload(bytes.into())
    }
}

impl std::ops::Deref for Payload {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Payload, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }
}

struct Bytes;

impl<'de> de::Visitor<'de> for Bytes {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Payload, E> {
        Ok(Payload::new(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Payload, E> {
        Ok(Payload::new(bytes))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut numbers: A) -> Result<Payload, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(Payload::new(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_reads_back_and_is_not_shown() {
        let payload = Payload::new(*b"hunter2");
        let packed = rmp_serde::to_vec_named(&payload).unwrap();
        assert_eq!(packed.len(), 2 + payload.len(), "as bytes, not as a list of numbers");
        assert_eq!(rmp_serde::from_slice::<Payload>(&packed).unwrap(), payload);
        let json = serde_json::to_string(&payload).unwrap();
        assert_eq!(serde_json::from_str::<Payload>(&json).unwrap(), payload);
        assert_eq!(format!("{payload:?}"), "(7 bytes)");
    }
}
