//! `wasi:config/store`, made from `wit/deps`.

wasip3::wit_bindgen::generate!({
    path: "../../../wit",
    inline: "package test:config; world reads { import wasi:config/store@0.2.0-rc.1; }",
    world: "test:config/reads",
    generate_all,
    runtime_path: "wasip3::wit_bindgen::rt",
});

pub use wasi::config::store::{get, get_all};
