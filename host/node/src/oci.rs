//! Registries: pulls components from them and pushes components to them, by the OCI Distribution Specification.
//!
//! One [`Remote`] is one image in one registry for one operation. TLS always, but plain HTTP to loopback addresses; a
//! loopback address with a published port of the cluster means this node's own ingress, see [`route`]. What a pulled
//! component is worth, and where it is kept, is decided in `api::image`.
mod certificates;
mod credentials;
mod error;
mod helper;
mod manifest;
pub mod route;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::manifest::OciDescriptor;
use oci_client::secrets::RegistryAuth;
use tokio::time::timeout;

use crate::images::{ImageDefaults, Reference};
use crate::limits::{IMAGE_BYTES_MAX, REGISTRY_CONNECT_TIMEOUT, REGISTRY_PIECE_BYTES, REGISTRY_PROBE_TIMEOUT, REGISTRY_SILENCE_MAX};
pub use credentials::{DockerConfig, Login};
pub use error::OciError;
pub use helper::{Helper, HelperError};
use manifest::NewManifest;

/// Told how many bytes have passed.
pub type Passed = Arc<dyn Fn(u64) + Send + Sync>;

/// An image in a registry.
pub struct Remote {
    client: Client,
    image: oci_client::Reference,
    auth: RegistryAuth,
    /// As the user calls it, with the registry.
    name: String,
}

/// What a registry has under a name.
#[derive(Clone, Debug)]
pub struct Found {
    /// Digest of the manifest.
    pub manifest: String,
    pub defaults: ImageDefaults,
    layer: OciDescriptor,
}

impl Found {
    pub fn size_bytes(&self) -> u64 {
        u64::try_from(self.layer.size).unwrap_or(0)
    }

    /// Digest of the component.
    pub fn digest(&self) -> Option<minicloud_core::spec::Digest> {
        self.layer.digest.parse().ok()
    }
}

impl Remote {
    /// `inside`: where this node itself reaches the registry, see [`route::inside`].
    pub fn new(reference: &Reference, login: Option<Login>, inside: Option<SocketAddr>) -> Result<Remote, OciError> {
        let registry = reference.registry.clone().ok_or_else(|| OciError::NoRegistry(reference.short()))?;
        let host = inside.map_or_else(|| registry.clone(), |address| address.to_string());
        let plain = inside.is_some() || route::is_loopback(&registry);
        let image = match &reference.manifest {
            Some(digest) => oci_client::Reference::with_digest(host, reference.path.clone(), digest.clone()),
            None => oci_client::Reference::with_tag(host, reference.path.clone(), reference.tag.clone()),
        };
        let auth = match login.or_else(|| DockerConfig::own().login(&registry)) {
            Some(login) => RegistryAuth::Basic(login.username, login.password),
            None => RegistryAuth::Anonymous,
        };
        let name = reference.to_string();
        let client = Client::try_from(config(&registry, plain)).map_err(|error| OciError::new(&name, error))?;
        Ok(Remote { client, image, auth, name })
    }

    /// The digest of the manifest that the name stands for now; asked within a short time.
    pub async fn probe(&self) -> Result<String, OciError> {
        let probe = timeout(REGISTRY_PROBE_TIMEOUT, self.client.fetch_manifest_digest(&self.image, &self.auth)).await;
        probe.map_err(|_| OciError::silent(&self.name))?.map_err(|error| OciError::new(&self.name, error))
    }

    /// What the registry has under this name.
    pub async fn find(&self) -> Result<Found, OciError> {
        let pulled = self.client.pull_image_manifest(&self.image, &self.auth).await;
        let (manifest, digest) = pulled.map_err(|error| OciError::new(&self.name, error))?;
        manifest::read(manifest, digest)
    }

    /// The component's bytes, whose digest is checked.
    pub async fn pull(&self, found: &Found, passed: Passed) -> Result<Bytes, OciError> {
        let fail = |error| OciError::new(&self.name, error);
        if found.size_bytes() > IMAGE_BYTES_MAX {
            return Err(OciError::TooLarge(found.size_bytes()));
        }
        let mut stream = self.client.pull_blob_stream(&self.image, &found.layer).await.map_err(fail)?;
        let mut component = BytesMut::with_capacity(usize::try_from(found.size_bytes()).unwrap_or(0));
        while let Some(piece) = stream.next().await {
            component.extend_from_slice(&piece.map_err(|error| fail(error.into()))?);
            if component.len() as u64 > IMAGE_BYTES_MAX {
                return Err(OciError::TooLarge(component.len() as u64));
            }
            passed(component.len() as u64);
        }
        Ok(component.freeze())
    }

    /// Pushes a component under this name; what the registry has already does not travel. Answers the manifest's digest.
    pub async fn push(&self, component: Bytes, defaults: &ImageDefaults, passed: Passed) -> Result<String, OciError> {
        let fail = |error| OciError::new(&self.name, error);
        let operation = oci_client::RegistryOperation::Push;
        self.client.auth(&self.image, &self.auth, operation).await.map_err(fail)?;
        let NewManifest { bytes, digest, config, config_digest, layer_digest } = manifest::make(&component, defaults);
        let size = component.len() as u64;
        if self.client.blob_exists(&self.image, &layer_digest).await.unwrap_or(false) {
            passed(size);
        } else {
            let told = passed.clone();
            let pieces = futures::stream::iter(pieces(component)).map(move |(piece, end)| {
                told(end);
                Ok(piece)
            });
            self.client.push_blob_stream(&self.image, pieces, &layer_digest, Some(size)).await.map_err(fail)?;
        }
        if !self.client.blob_exists(&self.image, &config_digest).await.unwrap_or(false) {
            self.client.push_blob(&self.image, config, &config_digest).await.map_err(fail)?;
        }
        let media_type = http::HeaderValue::from_static(manifest::MEDIA_TYPE);
        self.client.push_manifest_raw(&self.image, bytes, media_type).await.map_err(fail)?;
        Ok(digest)
    }
}

fn config(registry: &str, plain: bool) -> ClientConfig {
    let mut config = ClientConfig {
        protocol: if plain { ClientProtocol::Http } else { ClientProtocol::Https },
        use_monolithic_push: true,
        connect_timeout: Some(REGISTRY_CONNECT_TIMEOUT),
        read_timeout: Some(REGISTRY_SILENCE_MAX),
        user_agent: concat!("minicloud/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    };
    if !plain {
        config.extra_root_certificates = certificates::of(registry);
    }
    if plain {
        // A proxy of the environment never leads to a loopback address; naming one that is used for nothing shuts it out.
        config.http_proxy = Some("http://127.0.0.1:9".to_owned());
        config.no_proxy = Some("0.0.0.0/0,::/0,*".to_owned());
    }
    config
}

/// The component in pieces, each with the number of bytes up to its end.
fn pieces(component: Bytes) -> impl Iterator<Item = (Bytes, u64)> {
    let starts = (0..component.len()).step_by(REGISTRY_PIECE_BYTES);
    starts.map(move |start| {
        let end = component.len().min(start + REGISTRY_PIECE_BYTES);
        (component.slice(start..end), end as u64)
    })
}
