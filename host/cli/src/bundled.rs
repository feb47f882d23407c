//! The components that travel inside the binary, packed; `build.rs` writes the lists.
use minicloud_core::spec::Digest;
use minicloud_node::images::{BundledImage, ImageDefaults};

struct Bundled {
    name: &'static str,
    /// As TOML.
    defaults: &'static str,
    packed: Packed,
}

/// A component as the binary carries it.
pub struct Packed {
    digest: [u8; 32],
    size: usize,
    deflated: &'static [u8],
}

const BUNDLED: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The guest that makes components for `minicloud build`.
pub const COMPONENTIZE: Packed = include!(concat!(env!("OUT_DIR"), "/componentize.rs"));

impl Packed {
    pub fn digest(&self) -> Digest {
        Digest(self.digest)
    }

    pub fn unpack(&self) -> Vec<u8> {
        let unpacked = miniz_oxide::inflate::decompress_to_vec_with_limit(self.deflated, self.size);
        unpacked.expect("it was packed when the binary was built")
    }
}

/// Every bundled image, by the name that `service create` takes.
pub fn images() -> Vec<BundledImage> {
    BUNDLED.iter().map(image).collect()
}

fn image(image: &'static Bundled) -> BundledImage {
    let defaults: ImageDefaults = toml::from_str(image.defaults).expect("a test reads the defaults of every bundled image");
    BundledImage {
        name: image.name,
        defaults,
        digest: image.packed.digest(),
        size_bytes: image.packed.size as u64,
        component: std::sync::Arc::new(|| image.packed.unpack()),
    }
}

#[cfg(test)]
mod tests {
    use minicloud_node::images::digest_of;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        for image in images() {
            let component = (image.component)();
            assert_eq!((digest_of(&component), component.len() as u64), (image.digest, image.size_bytes), "{}", image.name);
        }
        assert_eq!(digest_of(&COMPONENTIZE.unpack()), COMPONENTIZE.digest());
    }

    #[test]
    fn rng_serves_one_at_a_time() {
        let rng = images().into_iter().find(|image| image.name == "rng").unwrap();
        assert_eq!(rng.defaults.concurrency, Some(1));
    }
}
