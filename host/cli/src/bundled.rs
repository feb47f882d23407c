//! The images that travel inside the binary; `build.rs` writes the list.
use minicloud_node::images::BundledImage;

struct Bundled {
    name: &'static str,
    concurrency: Option<u32>,
    component: &'static [u8],
}

const BUNDLED: &[Bundled] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Every bundled image, by the name that `service create` takes.
pub fn images() -> Vec<BundledImage> {
    BUNDLED.iter().map(|image| BundledImage { name: image.name, concurrency: image.concurrency, component: image.component }).collect()
}
