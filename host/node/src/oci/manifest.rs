//! Manifests of Wasm components, with the media types that Wasm tooling uses (wkg, oras).
//!
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>
use bytes::Bytes;
use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Serialize;

use super::{Found, OciError};
use crate::images::{ImageDefaults, digest_of};

pub const MEDIA_TYPE: &str = OCI_IMAGE_MEDIA_TYPE;
const CONFIG_MEDIA_TYPE: &str = "application/vnd.wasm.config.v0+json";
const LAYER_MEDIA_TYPE: &str = "application/wasm";

/// A manifest that is to be pushed, and what it refers to.
pub struct NewManifest {
    pub bytes: Bytes,
    pub digest: String,
    pub config: Bytes,
    pub config_digest: String,
    pub layer_digest: String,
}

/// The configuration that Wasm tooling expects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    /// Always the same, so that the same component makes the same manifest.
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [String; 1],
}

/// The manifest of a component. The same component with the same defaults has the same manifest everywhere.
pub fn make(component: &Bytes, defaults: &ImageDefaults) -> NewManifest {
    let layer_digest = digest_of(component).to_string();
    let config = Config { created: "1970-01-01T00:00:00Z", architecture: "wasm", os: "wasip2", layer_digests: [layer_digest.clone()] };
    let config = Bytes::from(serde_json::to_vec(&config).expect("a struct of strings is JSON"));
    let config_digest = digest_of(&config).to_string();
    let annotations = defaults.annotations();
    let manifest = OciImageManifest {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        config: descriptor(CONFIG_MEDIA_TYPE, &config_digest, config.len()),
        layers: vec![descriptor(LAYER_MEDIA_TYPE, &layer_digest, component.len())],
        subject: None,
        artifact_type: None,
        annotations: (!annotations.is_empty()).then_some(annotations),
    };
    let bytes = Bytes::from(serde_json::to_vec(&manifest).expect("a manifest is JSON"));
    NewManifest { digest: digest_of(&bytes).to_string(), bytes, config, config_digest, layer_digest }
}

fn descriptor(media_type: &str, digest: &str, size: usize) -> OciDescriptor {
    OciDescriptor { media_type: media_type.to_owned(), digest: digest.to_owned(), size: size as i64, ..Default::default() }
}

/// The one component of an image. Artifacts of other tools are taken too: what is in the layer decides later.
pub fn read(manifest: OciImageManifest, digest: String) -> Result<Found, OciError> {
    let annotations = manifest.annotations.unwrap_or_default();
    let defaults = ImageDefaults::from_annotations(&annotations).map_err(OciError::NoComponent)?;
    let wasm: Vec<&OciDescriptor> = manifest.layers.iter().filter(|layer| layer.media_type.contains("wasm")).collect();
    let layer = match (&wasm[..], &manifest.layers[..]) {
        ([layer], _) => (*layer).clone(),
        ([], [layer]) if !layer.media_type.contains("tar") => layer.clone(),
        ([], [layer, ..]) => {
            return Err(OciError::NoComponent(format!("it holds {}; minicloud runs Wasm components", layer.media_type)));
        }
        ([], []) => return Err(OciError::NoComponent("it is empty".to_owned())),
        (several, _) => return Err(OciError::NoComponent(format!("it holds {} components", several.len()))),
    };
    match layer.digest.parse::<minicloud_core::spec::Digest>() {
        Ok(_) => Ok(Found { manifest: digest, defaults, layer }),
        Err(error) => Err(OciError::NoComponent(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_makes_one_manifest_and_comes_back_from_it() {
        let defaults = ImageDefaults { concurrency: Some(2), ..Default::default() };
        let component = Bytes::from_static(b"component");
        let made = make(&component, &defaults);
        assert_eq!(made.digest, make(&component, &defaults).digest);
        let json: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
        assert_eq!(json["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
        assert_eq!(json["layers"][0]["mediaType"], "application/wasm");
        assert_eq!(json["annotations"]["minicloud.concurrency"], "2");
        let found = read(serde_json::from_value(json).unwrap(), made.digest.clone()).unwrap();
        assert_eq!((found.manifest, found.defaults, found.layer.digest.as_str()), (made.digest, defaults, made.layer_digest.as_str()));
        assert_eq!(found.layer.size, 9);
    }

    #[test]
    fn images_of_containers_are_told_what_runs_here() {
        let made = make(&Bytes::from_static(b"x"), &ImageDefaults::default());
        let mut manifest: OciImageManifest = serde_json::from_slice(&made.bytes).unwrap();
        manifest.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+gzip".into();
        let error = read(manifest.clone(), String::new()).unwrap_err().to_string();
        assert!(error.contains("tar+gzip") && error.contains("Wasm components"), "{error}");
        manifest.layers[0].media_type = "application/octet-stream".into();
        assert!(read(manifest.clone(), String::new()).is_ok());
        manifest.layers.clear();
        assert!(read(manifest, String::new()).unwrap_err().to_string().contains("empty"));
    }
}
