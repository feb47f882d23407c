//! Certificates: the cluster's authority, and what a node proves itself with.
//!
//! A node's certificate binds node id (CN), role (OU) and cluster (O); the names it may be dialled by
//! (`n7.minicloud`, `manager.minicloud`) are its SANs. The upper half of its serial number is the log index of the
//! state that the signer went by, so that a manager whose own state is older knows that. Only `join` signs. Files:
//! `data_dir`.
use std::time::Duration;

use minicloud_core::id::{ClusterId, Index, NodeId};
use minicloud_core::state::Role;
use minicloud_core::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::limits::{AUTHORITY_LIFE, CERTIFICATE_BACKDATE, CERTIFICATE_LIFE, CSR_BYTES_MAX};
use crate::transport::Certified;

/// SHA-256 of the authority's certificate; join tokens carry it.
pub type Fingerprint = [u8; 32];

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    #[error("not a certificate of a minicloud node: {0}")]
    Certificate(String),
    #[error("not a private key in PEM: {0}")]
    Key(String),
    #[error("not a certificate signing request: {0}")]
    Request(String),
}

/// The cluster's certificate authority with its key. Managers read it from the replicated state.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// Who a certificate is to be for. The signer decides all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    pub node: NodeId,
    pub role: Role,
    pub cluster: ClusterId,
    /// The state that says so.
    pub issued: Index,
}

/// A key made on the node that it belongs to; it never leaves that node.
pub struct NodeKey(KeyPair);

/// What a node proves itself with: certificate, key, and the authority that it trusts.
pub struct Identity {
    pub certified: Certified,
    pub cluster: ClusterId,
    pub certificate: CertificateDer<'static>,
    pub authority: CertificateDer<'static>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    key: Zeroizing<Vec<u8>>,
}

impl Authority {
    /// A new authority. Returns the PEM of its certificate and key, for `NewCluster`.
    pub fn create(now: Timestamp) -> Result<(String, Zeroizing<String>), IdentityError> {
        let key = new_key()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "minicloud cluster authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params.self_signed(&key)?;
        Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
    }

    pub fn from_pem(certificate: &str, key: &str) -> Result<Authority, IdentityError> {
        let certificate = certificate_from_pem(certificate.as_bytes())?;
        let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::from_pem(key)?)?;
        Ok(Authority { certificate, issuer })
    }

    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs a request's public key for `subject`; everything else that the request asks for is ignored.
    pub fn sign(&self, request_der: &[u8], subject: Subject, now: Timestamp) -> Result<CertificateDer<'static>, IdentityError> {
        if request_der.len() > CSR_BYTES_MAX {
            return Err(IdentityError::Request(format!("it has {} bytes, and {CSR_BYTES_MAX} are allowed", request_der.len())));
        }
        let der = CertificateSigningRequestDer::from(request_der);
        let mut request = CertificateSigningRequestParams::from_der(&der).map_err(|error| IdentityError::Request(error.to_string()))?;
        let mut params = CertificateParams::new(vec![node_name(subject.node), role_name(subject.role)])?;
        params.distinguished_name.push(DnType::CommonName, subject.node.to_string());
        params.distinguished_name.push(DnType::OrganizationalUnitName, subject.role.to_string());
        params.distinguished_name.push(DnType::OrganizationName, subject.cluster.to_string());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(serial(subject.issued, request_der));
        set_validity(&mut params, now, CERTIFICATE_LIFE);
        request.params = params;
        Ok(request.signed_by(&self.issuer)?.der().clone())
    }
}

impl NodeKey {
    pub fn generate() -> Result<NodeKey, IdentityError> {
        Ok(NodeKey(new_key()?))
    }

    /// The request that is sent to the leader.
    pub fn request_der(&self) -> Result<Vec<u8>, IdentityError> {
        Ok(CertificateParams::new(Vec::new())?.serialize_request(&self.0)?.der().to_vec())
    }

    /// Joins the key with what the leader signed for it.
    pub fn into_identity(
        self,
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Identity, IdentityError> {
        Identity::new(certificate, authority, Zeroizing::new(self.0.serialize_der()))
    }
}

impl Identity {
    fn new(
        certificate: CertificateDer<'static>,
        authority: CertificateDer<'static>,
        key: Zeroizing<Vec<u8>>,
    ) -> Result<Identity, IdentityError> {
        let (certified, cluster, not_before, not_after) = read_certificate(&certificate)?;
        Ok(Identity { certified, cluster, certificate, authority, not_before, not_after, key })
    }

    /// Reads what [`Identity::to_pem`] wrote.
    pub fn from_pem(text: &[u8]) -> Result<Identity, IdentityError> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|error| IdentityError::Key(error.to_string()))?;
        let public = KeyPair::try_from(&key).map_err(|error| IdentityError::Key(error.to_string()))?.subject_public_key_info();
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text)
            .collect::<Result<_, _>>()
            .map_err(|error| IdentityError::Certificate(error.to_string()))?;
        let [certificate, authority] = <[CertificateDer<'static>; 2]>::try_from(certificates).map_err(|found| {
            IdentityError::Certificate(format!("{} certificates are there instead of the node's and the authority's", found.len()))
        })?;
        if public_key_info(&certificate)? != public {
            return Err(IdentityError::Certificate("it is for another key than the one beside it".to_owned()));
        }
        Identity::new(certificate, authority, Zeroizing::new(key.secret_pkcs8_der().to_vec()))
    }

    /// All of it, in one text, since no part is worth anything without the others: key, certificate, authority.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(pem("PRIVATE KEY", &self.key));
        Zeroizing::new([key.as_str(), &pem("CERTIFICATE", &self.certificate), &pem("CERTIFICATE", &self.authority)].concat())
    }

    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.to_vec()))
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// The certificate and the authority behind it, so that a joiner can pin the latter.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone(), self.authority.clone()]
    }
}

/// The name that `node` is dialled by.
pub fn node_name(node: NodeId) -> String {
    format!("{node}.minicloud")
}

/// The name that a node of which only the role is known is dialled by.
pub fn role_name(role: Role) -> String {
    format!("{role}.minicloud")
}

pub fn fingerprint(certificate: &[u8]) -> Fingerprint {
    Sha256::digest(certificate).into()
}

/// Node, role, cluster and validity as a certificate binds them. Says nothing about who signed it, nor what time it is.
pub fn read_certificate(der: &[u8]) -> Result<(Certified, ClusterId, Timestamp, Timestamp), IdentityError> {
    let bad = |what: &str| IdentityError::Certificate(what.to_owned());
    let certificate = parsed(der)?;
    let subject = certificate.subject();
    let node = subject.iter_common_name().next().and_then(|name| name.as_str().ok()).and_then(|text| text.parse().ok());
    let role = subject.iter_organizational_unit().next().and_then(|name| name.as_str().ok()).and_then(parse_role);
    let cluster = subject.iter_organization().next().and_then(|name| name.as_str().ok()).and_then(|text| text.parse().ok());
    let validity = certificate.validity();
    let at = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000));
    Ok((
        Certified {
            node: node.ok_or_else(|| bad("it names no node"))?,
            role: role.ok_or_else(|| bad("it names no role"))?,
            issued: issued_at(certificate.raw_serial()),
            expired: false,
        },
        cluster.ok_or_else(|| bad("it names no cluster"))?,
        at(validity.not_before.timestamp()),
        at(validity.not_after.timestamp()),
    ))
}

/// The key that a certificate is for, as DER of an X.509 SubjectPublicKeyInfo.
fn public_key_info(der: &[u8]) -> Result<Vec<u8>, IdentityError> {
    Ok(parsed(der)?.public_key().raw.to_vec())
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| IdentityError::Certificate(error.to_string()))?;
    Ok(certificate)
}

pub fn certificate_from_pem(text: &[u8]) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(text).map_err(|error| IdentityError::Certificate(error.to_string()))
}

/// The index above, the request's hash below, so that no two certificates share a number.
fn serial(issued: Index, request_der: &[u8]) -> SerialNumber {
    let hash = Sha256::digest(request_der);
    SerialNumber::from([&issued.0.to_be_bytes(), &hash[..8]].concat())
}

/// See [`serial`]. Leading zeros are not written.
fn issued_at(serial: &[u8]) -> Index {
    let digits = serial.len().checked_sub(8).filter(|digits| *digits <= 8).and_then(|digits| serial.get(..digits));
    Index(digits.unwrap_or_default().iter().fold(0, |index, byte| index << 8 | u64::from(*byte)))
}

fn parse_role(text: &str) -> Option<Role> {
    [Role::Manager, Role::Worker].into_iter().find(|role| role.to_string() == text)
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_millis((now - CERTIFICATE_BACKDATE).0);
    params.not_after = epoch + Duration::from_millis((now + life).0);
}

fn pem(label: &str, der: &[u8]) -> String {
    use std::fmt::Write;
    const LINE_CHARS: usize = 64;
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = base64(der);
    for line in encoded.as_bytes().chunks(LINE_CHARS) {
        writeln!(text, "{}", String::from_utf8_lossy(line)).expect("a string takes every write");
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (word >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn subject() -> Subject {
        Subject { node: NodeId(7), role: Role::Worker, cluster: ClusterId(42), issued: Index(0x1234) }
    }

    #[test]
    fn a_signed_certificate_binds_node_role_and_cluster() {
        let (certificate, key) = Authority::create(NOW).unwrap();
        let authority = Authority::from_pem(&certificate, &key).unwrap();
        let node_key = NodeKey::generate().unwrap();
        let signed = authority.sign(&node_key.request_der().unwrap(), subject(), NOW).unwrap();
        let identity = node_key.into_identity(signed, authority.certificate().clone()).unwrap();
        assert_eq!(identity.certified, Certified { node: NodeId(7), role: Role::Worker, issued: Index(0x1234), expired: false });
        assert_eq!(identity.cluster, ClusterId(42));
        assert_eq!(identity.not_after, NOW + CERTIFICATE_LIFE);
        let again = Identity::from_pem(identity.to_pem().as_bytes()).unwrap();
        assert_eq!(again.certificate, identity.certificate);
        assert_eq!((again.authority, again.key), (identity.authority, identity.key));
    }

    #[test]
    fn a_key_and_a_certificate_that_do_not_belong_together_are_refused() {
        let (certificate, key) = Authority::create(NOW).unwrap();
        let authority = Authority::from_pem(&certificate, &key).unwrap();
        let made = |node_key: NodeKey| {
            let signed = authority.sign(&node_key.request_der().unwrap(), subject(), NOW).unwrap();
            node_key.into_identity(signed, authority.certificate().clone()).unwrap().to_pem()
        };
        let (old, new) = (made(NodeKey::generate().unwrap()), made(NodeKey::generate().unwrap()));
        let certificates = |text: &str| text.find("-----BEGIN CERTIFICATE").unwrap();
        let mixed = [&new[..certificates(&new)], &old[certificates(&old)..]].concat();
        let refused = |text: &str| Identity::from_pem(text.as_bytes()).err().unwrap().to_string();
        assert!(refused(&mixed).contains("for another key"));
        assert!(refused(&new[..certificates(&new)]).contains("0 certificates are there"));
        assert!(refused(&new[certificates(&new)..]).contains("not a private key"));
    }

    #[test]
    fn a_garbage_request_is_refused() {
        let (certificate, key) = Authority::create(NOW).unwrap();
        let authority = Authority::from_pem(&certificate, &key).unwrap();
        assert!(matches!(authority.sign(&[1, 2, 3], subject(), NOW), Err(IdentityError::Request(_))));
        assert!(matches!(authority.sign(&vec![0; CSR_BYTES_MAX + 1], subject(), NOW), Err(IdentityError::Request(_))));
    }

    #[test]
    fn base64_pads() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
