//! What a request that fails is answered with: one clear line and its kind.
use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use minicloud_core::command::Rejection;

use super::types::{ErrorBody, ErrorKind};
use crate::cluster::ProposeError;
use crate::images::ImageError;
use crate::oci::OciError;

/// Why there is no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError(ErrorBody);

impl ApiError {
    pub fn new(kind: ErrorKind, error: impl Into<String>) -> ApiError {
        ApiError(ErrorBody { error: error.into(), kind })
    }

    pub fn not_found(error: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::NotFound, error)
    }

    pub fn conflict(error: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::Conflict, error)
    }

    pub fn invalid(error: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::Invalid, error)
    }

    pub fn unavailable(error: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::Unavailable, error)
    }
}

impl From<Rejection> for ApiError {
    fn from(rejection: Rejection) -> ApiError {
        let kind = match rejection {
            Rejection::NotFound(_) => ErrorKind::NotFound,
            Rejection::Conflict(_) => ErrorKind::Conflict,
            Rejection::Invalid(_) => ErrorKind::Invalid,
            Rejection::Stale(_) => ErrorKind::Stale,
        };
        ApiError::new(kind, rejection.to_string())
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> ApiError {
        match error {
            ProposeError::Rejected(rejection) => rejection.into(),
            error @ (ProposeError::Unavailable(_) | ProposeError::Unknown(_)) => ApiError::unavailable(error.to_string()),
        }
    }
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> ApiError {
        let kind = match error {
            ImageError::NotFound { .. } => ErrorKind::NotFound,
            ImageError::Invalid(_) => ErrorKind::Invalid,
            ImageError::TooFewCopies { .. } => ErrorKind::Unavailable,
            ImageError::Store(_) => ErrorKind::Internal,
        };
        ApiError::new(kind, error.to_string())
    }
}

impl From<OciError> for ApiError {
    fn from(error: OciError) -> ApiError {
        let kind = match error {
            OciError::NotFound { .. } => ErrorKind::NotFound,
            OciError::Unreachable { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::Invalid,
        };
        ApiError::new(kind, error.to_string())
    }
}

impl From<ApiError> for ErrorBody {
    fn from(error: ApiError) -> ErrorBody {
        error.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.0.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Conflict | ErrorKind::Stale => StatusCode::CONFLICT,
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

pub async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("this API has no {}", uri.path()))
}

pub async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    ApiError::invalid(format!("{} cannot be asked to {method}", uri.path()))
}
