//! Authorities that are trusted for one registry, where docker looks for them: `certs.d/HOST:PORT/*.crt`.
//!
//! Those of the system are trusted for all; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others in their place.
use std::path::{Path, PathBuf};

use oci_client::client::{Certificate, CertificateEncoding};

use super::credentials;

const SYSTEM: &str = "/etc/docker/certs.d";
const FOLDER: &str = "certs.d";
const END: &str = "-----END CERTIFICATE-----";

/// Those of the machine, and of whoever runs this process.
pub fn of(registry: &str) -> Vec<Certificate> {
    let own = credentials::folder().map(|folder| folder.join(FOLDER));
    let folders = [Some(PathBuf::from(SYSTEM)), own];
    folders.iter().flatten().flat_map(|folder| read(&folder.join(registry))).collect()
}

/// Every certificate of the files; where there are none, or none that can be read, those of the system must do.
fn read(folder: &Path) -> Vec<Certificate> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "crt"));
    files.sort();
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.flat_map(|text| pem(&text)).collect()
}

/// The certificates of a bundle, one by one.
fn pem(text: &str) -> Vec<Certificate> {
    let blocks = text.split_inclusive(END).filter(|block| block.ends_with(END));
    blocks.map(|block| Certificate { encoding: CertificateEncoding::Pem, data: block.as_bytes().to_vec() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_taken_apart() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("ca.crt"),
            format!("-----BEGIN CERTIFICATE-----\nA\n{END}\ntext\n-----BEGIN CERTIFICATE-----\nB\n{END}\n"),
        )
        .unwrap();
        std::fs::write(folder.path().join("client.key"), "secret").unwrap();
        let found: Vec<String> = read(folder.path()).into_iter().map(|own| String::from_utf8(own.data).unwrap()).collect();
        assert!(found.len() == 2 && found[0].contains("A\n") && found[1].contains("B\n"), "{found:?}");
        assert!(read(&folder.path().join("none")).is_empty());
    }
}
