//! Made from `wit/`.

wasip3::wit_bindgen::generate!({
    path: "../../../wit",
    world: "minicloud:task/imports",
    runtime_path: "wasip3::wit_bindgen::rt",
    generate_all,
});
