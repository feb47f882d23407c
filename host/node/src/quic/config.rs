//! The settings of QUIC and TLS, in one place.
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use minicloud_core::state::Role;
use quinn::crypto::HmacKey;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;

use super::latecomer::Latecomers;
use super::{ALPN_JOIN, ALPN_NODE};
use crate::env::Clock;
use crate::identity::Identity;
use crate::limits::{
    INITIAL_RTT, MANAGER_IDLE, MANAGER_KEEP_ALIVE, PACKET_BYTES_MAX, STREAMS_PER_LINK_MAX, WORKER_IDLE, WORKER_KEEP_ALIVE,
};

type ConfigError = Box<dyn std::error::Error + Send + Sync>;

/// With this key a node that restarted tells peers of the old process at once that their connections are gone.
#[derive(Clone)]
pub struct ResetKey(pub [u8; ResetKey::BYTES]);

impl ResetKey {
    pub const BYTES: usize = 64;

    pub(super) fn hmac(&self) -> Arc<dyn HmacKey> {
        Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &self.0))
    }
}

/// What connections are dialled with.
pub(super) struct Clients {
    managers: ClientConfig,
    others: ClientConfig,
}

impl Clients {
    pub(super) fn new(identity: &Identity, clock: &Arc<dyn Clock>) -> Result<Clients, ConfigError> {
        let mut tls = rustls::ClientConfig::builder_with_details(provider(), Arc::new(TimeOf(clock.clone())))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots(&identity.authority)?)
            .with_client_auth_cert(identity.chain(), identity.key_der())?;
        tls.alpn_protocols = vec![ALPN_NODE.to_vec()];
        let tls = Arc::new(QuicClientConfig::try_from(tls)?);
        let between_managers = identity.certified.role == Role::Manager;
        let mut managers = ClientConfig::new(tls.clone());
        managers.transport_config(if between_managers { manager_transport()? } else { worker_transport()? });
        let mut others = ClientConfig::new(tls);
        others.transport_config(worker_transport()?);
        Ok(Clients { managers, others })
    }

    pub(super) fn towards(&self, role: Role) -> ClientConfig {
        match role {
            Role::Manager => self.managers.clone(),
            Role::Worker => self.others.clone(),
        }
    }
}

pub(super) fn server(identity: &Identity, clock: &Arc<dyn Clock>) -> Result<ServerConfig, ConfigError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&identity.authority)?, provider()).allow_unauthenticated().build()?;
    let mut tls = rustls::ServerConfig::builder_with_details(provider(), Arc::new(TimeOf(clock.clone())))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(Latecomers(verifier)))
        .with_single_cert(identity.chain(), identity.key_der())?;
    tls.alpn_protocols = vec![ALPN_NODE.to_vec(), ALPN_JOIN.to_vec()];
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(worker_transport()?);
    Ok(config)
}

/// For a newcomer, who has no certificate and trusts what `verifier` pins.
pub(super) fn newcomer(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, ConfigError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN_JOIN.to_vec()];
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(worker_transport()?);
    Ok(config)
}

/// The node's clock as TLS asks for it.
struct TimeOf(Arc<dyn Clock>);

impl TimeProvider for TimeOf {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}

impl fmt::Debug for TimeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeOf({})", self.0.now().0)
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

fn manager_transport() -> Result<Arc<TransportConfig>, ConfigError> {
    transport(MANAGER_IDLE, MANAGER_KEEP_ALIVE)
}

fn worker_transport() -> Result<Arc<TransportConfig>, ConfigError> {
    transport(WORKER_IDLE, WORKER_KEEP_ALIVE)
}

fn transport(idle: Duration, keep_alive: Duration) -> Result<Arc<TransportConfig>, ConfigError> {
    let mut config = TransportConfig::default();
    let mut packets = MtuDiscoveryConfig::default();
    packets.upper_bound(PACKET_BYTES_MAX);
    config
        .mtu_discovery_config(Some(packets))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_PER_LINK_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(idle.try_into()?))
        .keep_alive_interval(Some(keep_alive))
        .initial_rtt(INITIAL_RTT);
    Ok(Arc::new(config))
}
