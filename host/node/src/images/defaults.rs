//! What an image wants where the service does not say. In a registry it stands in the annotations of the manifest.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an image wants unless the service says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageDefaults {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Requests that an HTTP component serves at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Port on which an HTTP component is served at its task's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_port: Option<u16>,
    /// Ports on which it can be reached; they are told, not published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Absolute paths that need a volume; each service gets one of its own where it mounts none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
}

/// Each annotation is `minicloud.` and the name of a field, with the field's JSON.
const PREFIX: &str = "minicloud.";

impl ImageDefaults {
    /// As annotations of a manifest; what is absent has none.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => {
                fields.into_iter().map(|(name, value)| (format!("{PREFIX}{name}"), value.to_string())).collect()
            }
            _ => BTreeMap::new(),
        }
    }

    /// Reads what [`ImageDefaults::annotations`] wrote; annotations of others are passed over.
    pub fn from_annotations(annotations: &BTreeMap<String, String>) -> Result<ImageDefaults, String> {
        let mut fields = serde_json::Map::new();
        for (name, text) in annotations.iter().filter_map(|(key, text)| Some((key.strip_prefix(PREFIX)?, text))) {
            let value = serde_json::from_str(text).map_err(|error| format!("annotation {PREFIX}{name}: {error}"))?;
            fields.insert(name.to_owned(), value);
        }
        let defaults: ImageDefaults =
            serde_json::from_value(fields.into()).map_err(|error| format!("annotations of the image: {error}"))?;
        defaults.check()?;
        Ok(defaults)
    }

    /// Whether a service could have it.
    pub fn check(&self) -> Result<(), String> {
        if self.http_port == Some(0) {
            return Err("http-port cannot be 0".to_owned());
        }
        match self.volumes.iter().find(|path| !path.starts_with('/') || path.len() < 2) {
            Some(path) => Err(format!("volume '{path}' is no absolute path inside the task")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_carry_everything_and_only_what_is_set() {
        let defaults = ImageDefaults {
            args: vec!["--port".into(), "a b".into()],
            env: [("DEBUG".to_owned(), "y".to_owned())].into(),
            concurrency: Some(1),
            http_port: Some(8080),
            ports: vec![8080],
            volumes: vec!["/data".into()],
        };
        let mut annotations = defaults.annotations();
        assert_eq!(annotations["minicloud.args"], r#"["--port","a b"]"#);
        annotations.insert("org.opencontainers.image.title".into(), "not ours".into());
        assert_eq!(ImageDefaults::from_annotations(&annotations).unwrap(), defaults);
        assert_eq!(ImageDefaults::default().annotations(), BTreeMap::new());
    }

    #[test]
    fn what_no_service_could_have_is_refused() {
        let read = |key: &str, text: &str| ImageDefaults::from_annotations(&[(key.to_owned(), text.to_owned())].into());
        assert!(read("minicloud.concurrency", "many").is_err());
        assert!(read("minicloud.colour", "1").is_err());
        assert!(read("minicloud.http-port", "0").unwrap_err().contains("cannot be 0"));
        assert!(read("minicloud.volumes", r#"["data"]"#).unwrap_err().contains("absolute"));
    }
}
