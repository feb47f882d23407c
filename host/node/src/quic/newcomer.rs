//! The newcomer's end of a join connection: no certificate yet, the cluster's authority pinned by its fingerprint.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use minicloud_core::state::Role;
use quinn::Endpoint;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use subtle::ConstantTimeEq;

use super::{QuicLink, config};
use crate::identity::{Fingerprint, fingerprint, role_name};
use crate::transport::{BoxStream, Link, LinkError};

/// A connection to a manager whose cluster is the token's.
pub struct Newcomer {
    link: QuicLink,
    authority: CertificateDer<'static>,
}

impl Newcomer {
    /// The cluster's authority; its fingerprint is the token's.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    pub async fn open(&self) -> Result<BoxStream, LinkError> {
        self.link.open().await
    }
}

/// Connects from `local` to the manager at `address`, if its cluster's authority has this fingerprint.
pub async fn connect_newcomer(address: SocketAddr, authority: Fingerprint, local: IpAddr) -> Result<Newcomer, LinkError> {
    let unreachable = |reason: String| LinkError::Unreachable { address, reason };
    let pin = Arc::new(Pin { authority, seen: OnceLock::new(), foreign: OnceLock::new() });
    let config = config::newcomer(pin.clone()).map_err(|error| unreachable(error.to_string()))?;
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let local = if local.is_ipv4() == address.is_ipv4() { local } else { any };
    let endpoint = Endpoint::client(SocketAddr::new(local, 0)).map_err(|error| unreachable(error.to_string()))?;
    let connecting = endpoint.connect_with(config, address, &role_name(Role::Manager)).map_err(|error| unreachable(error.to_string()))?;
    let connected = connecting.await;
    if pin.foreign.get().is_some() {
        let reason = format!("the manager at {address} belongs to another cluster than the token: check address and token");
        return Err(LinkError::Refused { code: crate::transport::CloseCode::WrongCluster, reason });
    }
    let connection = connected.map_err(|error| unreachable(error.to_string()))?;
    let authority = pin.seen.get().cloned().ok_or_else(|| unreachable("it showed no certificate authority".into()))?;
    Ok(Newcomer { link: QuicLink { connection, certified: None }, authority })
}

/// Accepts a chain that ends in the authority with the wanted fingerprint, and remembers that authority.
#[derive(Debug)]
struct Pin {
    authority: Fingerprint,
    seen: OnceLock<CertificateDer<'static>>,
    foreign: OnceLock<()>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().find(|certificate| bool::from(fingerprint(certificate).ct_eq(&self.authority)));
        let Some(authority) = pinned.map(|certificate| certificate.clone().into_owned()) else {
            let _ = self.foreign.set(());
            return Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let inner = WebPkiServerVerifier::builder_with_provider(config::roots(&authority)?, config::provider())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified = inner.verify_server_cert(leaf, intermediates, name, ocsp, now)?;
        let _ = self.seen.set(authority);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &config::provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &config::provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        config::provider().signature_verification_algorithms.supported_schemes()
    }
}
