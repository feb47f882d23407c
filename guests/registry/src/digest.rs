//! Digests: `sha256:` and 64 hex digits, the algorithm that every registry has. Pure.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// The digest of some content, by its hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// Reads `sha256:` and 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let valid = hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        valid.then(|| Self(hex.to_owned()))
    }

    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(content);
        hasher.finish()
    }

    /// Safe as the name of a file.
    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

/// A digest in progress, and how many bytes went into it.
#[derive(Clone, Default)]
pub struct Hasher {
    sha256: Sha256,
    bytes: u64,
}

impl Hasher {
    pub fn update(&mut self, piece: &[u8]) {
        self.sha256.update(piece);
        self.bytes += piece.len() as u64;
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn finish(self) -> Digest {
        Digest(guest_common::hex::lower(&self.sha256.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_digest_of_the_whole() {
        let mut hasher = Hasher::default();
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(hasher.bytes(), 3);
        // FIPS 180-2, appendix B.1
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hasher.finish().to_string(), expected);
        assert_eq!(Digest::parse(expected), Some(Digest::of(b"abc")));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let hex = "a".repeat(64);
        for text in
            ["", "sha256:", "sha256:zz", &format!("sha512:{hex}"), &format!("sha256:{}", hex.to_uppercase()), &format!("sha256:{hex}/")]
        {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
