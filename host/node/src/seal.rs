//! The key that seals secrets in the log and in the state, and what sealing is: ChaCha20-Poly1305 under one key for the
//! cluster, bound to the secret's id.
//!
//! The log, the state and snapshots hold sealed bytes only. The key stands in none of them: each manager keeps it in a
//! file of its own (`keeper`), beside the key of its certificate. See `host/decisions`.
mod keeper;
mod service;

use std::fmt;

use minicloud_core::id::FileId;
use minicloud_core::limits::SEAL_BYTES_MAX;
use minicloud_core::spec::{Fingerprint, Payload};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::env::Random;

pub use keeper::SealKeys;
pub(crate) use service::WireKey;
pub use service::{SealKeyError, SealKeyService, have_key};

/// Of the sealed form: version, nonce, ciphertext with its tag.
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + NONCE_LEN;
const _: () = assert!(HEADER_BYTES + 16 <= SEAL_BYTES_MAX);

/// A key that seals secrets. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey(Zeroizing<[u8; SealKey::BYTES]>);

/// A secret that cannot be opened, or not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("its sealed form is damaged, or was sealed with another key")]
    Damaged,
    #[error("it was sealed by a newer minicloud (form {0}, and this one reads {VERSION}): install that version")]
    Version(u8),
}

impl SealKey {
    pub const BYTES: usize = 32;

    pub fn generate(random: &dyn Random) -> SealKey {
        let mut key = Zeroizing::new([0; SealKey::BYTES]);
        random.fill(&mut *key);
        SealKey(key)
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<SealKey> {
        Some(SealKey(Zeroizing::new(bytes.try_into().ok()?)))
    }

    pub fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// What the replicated state knows of the key.
    pub fn fingerprint(&self) -> Fingerprint {
        Sha256::new().chain_update(b"minicloud seal key").chain_update(*self.0).finalize().into()
    }

    /// Seals the content of the secret that gets this id. A secret's content never changes, so each id seals once.
    pub fn seal(&self, id: FileId, content: &[u8], random: &dyn Random) -> Result<Payload, SealError> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEADER_BYTES + content.len() + CHACHA20_POLY1305.tag_len());
        sealed.push(VERSION);
        sealed.extend(nonce);
        sealed.extend(content);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.cipher()?.seal_in_place_separate_tag(nonce, bound_to(id), &mut sealed[HEADER_BYTES..]);
        sealed.extend(tag.map_err(|_| SealError::Damaged)?.as_ref());
        Ok(Payload::new(sealed))
    }

    /// The content again. Bytes of another secret, or that were changed, are refused.
    pub fn open(&self, id: FileId, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (header, sealed) = sealed.split_at_checked(HEADER_BYTES).ok_or(SealError::Damaged)?;
        if header[0] != VERSION {
            return Err(SealError::Version(header[0]));
        }
        let nonce = Nonce::try_assume_unique_for_key(&header[1..]).map_err(|_| SealError::Damaged)?;
        let mut content = Zeroizing::new(sealed.to_vec());
        let length = self.cipher()?.open_in_place(nonce, bound_to(id), &mut content).map_err(|_| SealError::Damaged)?.len();
        content.truncate(length);
        Ok(content)
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&CHACHA20_POLY1305, &*self.0).map(LessSafeKey::new).map_err(|_| SealError::Damaged)
    }
}

/// A sealed secret is no other secret, whatever is done to the rows.
fn bound_to(id: FileId) -> Aad<[u8; 8]> {
    Aad::from(id.0.to_le_bytes())
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    fn key() -> SealKey {
        SealKey::generate(&*Env::real().random)
    }

    #[test]
    fn what_is_sealed_opens_again_and_shows_nothing() {
        let (key, random) = (key(), Env::real().random);
        for content in [&b""[..], b"hunter2 hunter2 hunter2", &[7; 1000]] {
            let sealed = key.seal(FileId(1), content, &*random).unwrap();
            assert!(sealed.len() <= content.len() + SEAL_BYTES_MAX);
            assert!(content.is_empty() || !sealed.windows(content.len().min(8)).any(|part| content.starts_with(part)));
            assert_eq!(*key.open(FileId(1), &sealed).unwrap(), content);
            assert_ne!(key.seal(FileId(1), content, &*random).unwrap(), sealed, "never twice the same");
        }
        assert!(!format!("{key:?}").contains(&format!("{:?}", key.bytes())));
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let key = key();
        let sealed = key.seal(FileId(1), b"hunter2", &*Env::real().random).unwrap();
        assert_eq!(key.open(FileId(2), &sealed), Err(SealError::Damaged), "it is bound to its id");
        assert_eq!(self::key().open(FileId(1), &sealed), Err(SealError::Damaged), "another key");
        for at in 0..sealed.len() {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert!(key.open(FileId(1), &changed).is_err(), "byte {at}");
            assert!(key.open(FileId(1), &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
