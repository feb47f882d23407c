//! The list of what refers to a manifest. Pure.

use crate::manifest::Referrer;
use serde::Serialize;

pub const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Referrer>,
}

/// The image index of `referrers`, of one artifact type if that is asked for.
pub fn index(mut referrers: Vec<Referrer>, artifact_type: Option<&str>) -> Vec<u8> {
    referrers.retain(|referrer| artifact_type.is_none_or(|wanted| referrer.artifact_type.as_deref() == Some(wanted)));
    referrers.sort_by(|a, b| a.digest.cmp(&b.digest));
    let index = Index { schema_version: 2, media_type: INDEX_MEDIA_TYPE, manifests: referrers };
    // Strings and numbers always make JSON.
    serde_json::to_vec(&index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_an_index_and_can_be_filtered() {
        let referrer = |digest: &str, kind: &str| Referrer {
            media_type: "m".into(),
            digest: digest.into(),
            size: 1,
            artifact_type: Some(kind.into()),
            annotations: Default::default(),
        };
        let both = || vec![referrer("b", "x"), referrer("a", "y")];
        let all = String::from_utf8(index(both(), None)).unwrap();
        assert!(all.starts_with(
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"m","digest":"a""#
        ));
        let some = String::from_utf8(index(both(), Some("x"))).unwrap();
        assert!(some.contains(r#""digest":"b""#) && !some.contains(r#""digest":"a""#), "{some}");
        assert!(String::from_utf8(index(vec![], None)).unwrap().ends_with(r#""manifests":[]}"#));
    }
}
