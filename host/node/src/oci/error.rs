//! Why a registry did not do what was asked, in words that say what to do.
use oci_client::errors::{OciDistributionError, OciErrorCode};

#[derive(Debug, thiserror::Error)]
pub enum OciError {
    #[error("'{0}' names no registry: tag it first, for example 'minicloud tag {0} 127.0.0.1:5000/{0}'")]
    NoRegistry(String),
    #[error("'{0}' names no registry to pull from: write REGISTRY/{0}, for example 'minicloud pull 127.0.0.1:5000/{0}'")]
    PullNamesNoRegistry(String),
    /// It may be there later.
    #[error("cannot reach the registry {registry}: {reason}")]
    Unreachable { registry: String, reason: String },
    #[error("there is no image {image} in its registry: {reason}")]
    NotFound { image: String, reason: String },
    #[error("the registry {registry} wants a login: put it into the docker config file (~/.docker/config.json), as 'docker login' does")]
    Unauthorized { registry: String },
    #[error(
        "the certificate of the registry {registry} is not trusted ({reason}): put that of its authority into /etc/docker/certs.d/{registry}/ca.crt on this node's machine"
    )]
    Untrusted { registry: String, reason: String },
    #[error("the registry {registry}: {reason}")]
    Refused { registry: String, reason: String },
    #[error("what the registry has is no image that runs here: {0}")]
    NoComponent(String),
    #[error("component of {0} bytes is above the limit of {max}", max = crate::limits::IMAGE_BYTES_MAX)]
    TooLarge(u64),
}

impl OciError {
    /// `image`: its name, which begins with the registry.
    pub fn new(image: &str, error: OciDistributionError) -> OciError {
        let registry = registry_of(image);
        match error {
            OciDistributionError::RequestError(error) => match root(&error) {
                reason if reason.contains("certificate") => OciError::Untrusted { registry, reason },
                reason => OciError::Unreachable { registry, reason },
            },
            OciDistributionError::IoError(error) => OciError::Unreachable { registry, reason: root(&error) },
            OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => {
                OciError::Unauthorized { registry }
            }
            OciDistributionError::ImageManifestNotFoundError(reason) => OciError::NotFound { image: image.to_owned(), reason },
            OciDistributionError::RegistryError { envelope, .. } => {
                let missing = |code: &OciErrorCode| {
                    matches!(
                        code,
                        OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound | OciErrorCode::BlobUnknown
                    )
                };
                let is_missing = envelope.errors.iter().any(|error| missing(&error.code));
                let denied = envelope.errors.iter().any(|error| matches!(error.code, OciErrorCode::Unauthorized | OciErrorCode::Denied));
                let reason = envelope.errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
                match (is_missing, denied) {
                    (true, _) => OciError::NotFound { image: image.to_owned(), reason },
                    (_, true) => OciError::Unauthorized { registry },
                    _ => OciError::Refused { registry, reason },
                }
            }
            OciDistributionError::ServerError { code: 401 | 403, .. } => OciError::Unauthorized { registry },
            OciDistributionError::ServerError { code: 404, .. } => {
                OciError::NotFound { image: image.to_owned(), reason: "it answers 404".to_owned() }
            }
            OciDistributionError::ServerError { code: 502..=504, message, .. } => OciError::Unreachable { registry, reason: message },
            OciDistributionError::UnsupportedMediaTypeError(kind) => OciError::NoComponent(format!("its media type is {kind}")),
            OciDistributionError::ImageIndexParsingNoPlatformResolverError => {
                OciError::NoComponent("it is an index of images for other platforms".to_owned())
            }
            other => OciError::Refused { registry, reason: root(&other) },
        }
    }

    pub fn silent(image: &str) -> OciError {
        OciError::Unreachable { registry: registry_of(image), reason: "it does not answer".to_owned() }
    }
}

fn registry_of(image: &str) -> String {
    image.split('/').next().unwrap_or(image).to_owned()
}

/// The last cause, which says most.
fn root(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
