//! Join tokens: `MCTKN-1-<sha256 of the cluster's authority, hex>-<secret of one role, hex>`.
//!
//! The fingerprint lets a newcomer know the cluster, the secret lets the cluster know the newcomer. The state
//! keeps the secret's hash only.
use std::fmt;
use std::str::FromStr;

use minicloud_core::state::Role;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::identity::Fingerprint;

const PREFIX: &str = "MCTKN";
const VERSION: &str = "1";
/// 128 random bits cannot be guessed, and need no slow hash.
const SECRET_BYTES: usize = 16;
/// Rotations of one role's secret that are looked through; each costs about a microsecond.
const GENERATIONS_MAX: u32 = 100_000;

/// What a newcomer is given.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub authority: Fingerprint,
    pub secret: Secret,
}

/// The part of a token that must stay secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

/// What is wrong with a text that should be a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("a join token starts with {PREFIX}-{VERSION}-: print one with `minicloud join-token worker` on a manager")]
    Prefix,
    #[error("join token of version {0}, and this minicloud reads version {VERSION}: use the same minicloud on both nodes")]
    Version(String),
    #[error("the join token is incomplete or has a typing error: copy all of it from `minicloud join-token worker` on a manager")]
    Shape,
}

impl Secret {
    /// The secret of a role in the `generation`-th rotation. Whoever has the authority's key can derive it, and
    /// could sign certificates anyway; so the state need not keep it.
    pub fn derive(authority_key: &str, role: Role, generation: u32) -> Secret {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, authority_key.as_bytes());
        let tag = ring::hmac::sign(&key, format!("minicloud join secret {role} {generation}").as_bytes());
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        bytes.copy_from_slice(&tag.as_ref()[..SECRET_BYTES]);
        Secret(bytes)
    }

    /// The derived secret with this hash, and its generation.
    pub fn find(authority_key: &str, role: Role, hash: &[u8; 32]) -> Option<(u32, Secret)> {
        let derived = (0..GENERATIONS_MAX).map(|generation| (generation, Secret::derive(authority_key, role, generation)));
        derived.into_iter().find(|(_, secret)| secret.hash() == *hash)
    }

    pub fn from_hex(text: &str) -> Option<Secret> {
        from_hex(text).map(Zeroizing::new).map(Secret)
    }

    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex(&*self.0))
    }

    /// What the replicated state keeps.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(*self.0).into()
    }
}

/// Which role a secret admits to, compared in constant time.
pub fn role_of(secret: &Secret, manager_hash: &[u8; 32], worker_hash: &[u8; 32]) -> Option<Role> {
    let hash = secret.hash();
    let manager = bool::from(hash.ct_eq(manager_hash));
    let worker = bool::from(hash.ct_eq(worker_hash));
    match (manager, worker) {
        (true, _) => Some(Role::Manager),
        (false, true) => Some(Role::Worker),
        (false, false) => None,
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}-{VERSION}-{}-{}", hex(&self.authority), *self.secret.to_hex())
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Token, TokenError> {
        let rest = text.trim().strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-')).ok_or(TokenError::Prefix)?;
        let (version, rest) = rest.split_once('-').ok_or(TokenError::Shape)?;
        if version != VERSION {
            return Err(TokenError::Version(version.to_owned()));
        }
        let (authority, secret) = rest.split_once('-').ok_or(TokenError::Shape)?;
        let authority = from_hex(authority).ok_or(TokenError::Shape)?;
        Ok(Token { authority, secret: Secret::from_hex(secret).ok_or(TokenError::Shape)? })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({PREFIX}-{VERSION}-{}-…)", hex(&self.authority))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token { authority: [0xab; 32], secret: Secret(Zeroizing::new([7; SECRET_BYTES])) }
    }

    #[test]
    fn a_token_reads_back() {
        let text = token().to_string();
        assert!(text.starts_with("MCTKN-1-abab"));
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!(" {text}\n").parse(), Ok(token()));
    }

    #[test]
    fn what_is_no_token_says_what_to_do() {
        let text = token().to_string();
        let cut = &text[..text.len() - 1];
        let cases = [("", TokenError::Prefix), ("hello", TokenError::Prefix), ("MCTKN-1", TokenError::Shape), (cut, TokenError::Shape)];
        for (text, error) in cases {
            assert_eq!(text.parse::<Token>(), Err(error), "{text}");
        }
        assert_eq!("MCTKN-2-ab-cd".parse::<Token>(), Err(TokenError::Version("2".into())));
        assert_eq!(text.replace("07", "é").parse::<Token>(), Err(TokenError::Shape));
    }

    #[test]
    fn a_secret_admits_to_its_role_only() {
        let (manager, worker, other) = ([1; 16], [2; 16], [3; 16]);
        let secret = |bytes| Secret(Zeroizing::new(bytes));
        let (manager_hash, worker_hash) = (secret(manager).hash(), secret(worker).hash());
        let role = |bytes| role_of(&secret(bytes), &manager_hash, &worker_hash);
        assert_eq!((role(manager), role(worker), role(other)), (Some(Role::Manager), Some(Role::Worker), None));
    }

    #[test]
    fn a_derived_secret_is_found_again_by_its_hash() {
        let secret = Secret::derive("key", Role::Worker, 3);
        assert_eq!(Secret::find("key", Role::Worker, &secret.hash()), Some((3, secret.clone())));
        assert_ne!(Secret::derive("key", Role::Manager, 3), secret);
        assert_ne!(Secret::derive("other", Role::Worker, 3), secret);
    }

    #[test]
    fn debug_hides_the_secret() {
        assert!(!format!("{:?}", token()).contains("0707"));
    }
}
