//! The files of `web/dist`, built into the component.

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// Path below the root, with its leading slash.
    pub path: &'static str,
    pub content_type: &'static str,
    /// A strong entity tag, with its quotes.
    pub etag: &'static str,
    /// The name carries a hash of the content, so a copy may be kept for ever.
    pub immutable: bool,
    pub bytes: &'static [u8],
}

// Sorted by path; written by build.rs.
include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The file at `path`.
pub fn find(path: &str) -> Option<&'static Asset> {
    let index = ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok()?;
    ASSETS.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_path() {
        for asset in ASSETS {
            assert_eq!(find(asset.path).map(|found| found.etag), Some(asset.etag));
        }
        assert!(find("/../Cargo.toml").is_none());
    }

    #[test]
    fn the_page_is_there_and_must_be_asked_for_again() {
        let page = find("/index.html").unwrap();
        assert_eq!(page.content_type, "text/html; charset=utf-8");
        assert!(!page.immutable);
        assert!(page.bytes.len() > 14);
    }
}
