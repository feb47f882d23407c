//! What the registry has to know of a manifest. Pure.

use crate::digest::Digest;
use crate::fault::{Code, Fault};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes of a manifest, as the specification advises.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;
const MEDIA_TYPE_DEFAULT: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest's facts.
#[derive(Debug, PartialEq, Eq)]
pub struct Manifest {
    pub media_type: String,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// Its configuration and layers: they must be here before it.
    pub blobs: Vec<Digest>,
    pub artifact_type: Option<String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    /// Where else it is; such a layer need not be here.
    urls: Option<Vec<String>>,
}

/// How a manifest is told in a list of referrers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest that was sent as `content_type`.
    pub fn read(content: &[u8], content_type: Option<&str>) -> Result<Self, Fault> {
        let invalid = |why: String| Fault::new(400, Code::ManifestInvalid, why);
        let raw: Raw = serde_json::from_slice(content).map_err(|error| invalid(format!("the manifest cannot be read: {error}")))?;
        let sent_as = content_type.map(|text| text.split(';').next().unwrap_or(text).trim()).filter(|text| !text.is_empty());
        let media_type = match (&raw.media_type, sent_as) {
            (Some(own), Some(sent_as)) if own != sent_as => {
                return Err(invalid(format!("the manifest says that it is {own}, and was sent as {sent_as}")));
            }
            (Some(own), _) => own.clone(),
            (None, sent_as) => sent_as.unwrap_or(MEDIA_TYPE_DEFAULT).to_owned(),
        };
        let digest = |text: &str| Digest::parse(text).ok_or_else(|| invalid(format!("the manifest names '{text}', which is no digest")));
        let local = raw.config.iter().chain(&raw.layers).filter(|descriptor| descriptor.urls.as_ref().is_none_or(Vec::is_empty));
        let blobs = local.map(|descriptor| digest(&descriptor.digest)).collect::<Result<_, _>>()?;
        let subject = raw.subject.map(|subject| digest(&subject.digest)).transpose()?;
        let config_type = raw.config.map(|config| config.media_type);
        let artifact_type = raw.artifact_type.or(config_type).filter(|text| !text.is_empty());
        Ok(Self { media_type, subject, blobs, artifact_type, annotations: raw.annotations.unwrap_or_default() })
    }

    /// As it stands in the list of its subject.
    pub fn referrer(&self, digest: &Digest, size: u64) -> Referrer {
        Referrer {
            media_type: self.media_type.clone(),
            digest: digest.to_string(),
            size,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_tells_what_it_needs() {
        let (config, layer, far, subject) = (Digest::of(b"c"), Digest::of(b"l"), Digest::of(b"f"), Digest::of(b"s"));
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"x/config","digest":"{config}","size":1}},
                "layers":[{{"mediaType":"x/layer","digest":"{layer}","size":1}},{{"mediaType":"y","digest":"{far}","size":1,"urls":["u"]}}],
                "subject":{{"mediaType":"m","digest":"{subject}","size":1}},"annotations":{{"a":"b"}}}}"#
        );
        let manifest = Manifest::read(text.as_bytes(), Some("application/json; charset=utf-8")).unwrap();
        assert_eq!(manifest.media_type, "application/json");
        assert_eq!((&manifest.blobs, manifest.subject.as_ref()), (&vec![config, layer], Some(&subject)));
        assert_eq!(manifest.artifact_type.as_deref(), Some("x/config"));
        let referrer = serde_json::to_string(&manifest.referrer(&far, 7)).unwrap();
        assert!(referrer.starts_with(r#"{"mediaType":"application/json","digest":"sha256:"#), "{referrer}");
        assert!(referrer.ends_with(r#""size":7,"artifactType":"x/config","annotations":{"a":"b"}}"#), "{referrer}");
    }

    #[test]
    fn the_media_type_must_be_one() {
        let own = br#"{"mediaType":"m/one"}"#;
        assert_eq!(Manifest::read(own, None).unwrap().media_type, "m/one");
        assert_eq!(Manifest::read(own, Some("m/two")).unwrap_err().code, Code::ManifestInvalid);
        assert_eq!(Manifest::read(b"{}", None).unwrap().media_type, MEDIA_TYPE_DEFAULT);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for text in ["", "[]", "{", r#"{"layers":[{"digest":"sha256:12"}]}"#, r#"{"subject":{"digest":"x"}}"#] {
            assert_eq!(Manifest::read(text.as_bytes(), None).unwrap_err().status, 400, "{text}");
        }
    }
}
