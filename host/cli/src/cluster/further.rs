//! Commands that make a further node on this machine, ready to be pasted.
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::remains::is_free;
use crate::address::NODE_PORT;
use crate::data_dir::shell_word;

/// Most nodes that are looked for beside the first.
const NODES_MAX: u8 = 250;

/// A folder that is free, and the number of the node that it would be.
fn free(folder: &Path) -> (u8, PathBuf) {
    let name = |number: u8| PathBuf::from(format!("{}-{number}", folder.display()));
    let number = (2..NODES_MAX).find(|number| is_free(&name(*number))).unwrap_or(NODES_MAX);
    (number, name(number))
}

/// Founds another cluster beside the node in `folder`.
pub fn init(program: &str, folder: &Path) -> String {
    let (number, folder) = free(folder);
    format!("{program} --data-dir {} init --listen-addr 127.0.0.{number}:{NODE_PORT}", shell_word(&folder.display().to_string()))
}

/// Joins beside the node in `folder`.
pub fn join(program: &str, folder: &Path, token: &str, manager: SocketAddr) -> String {
    let (number, folder) = free(folder);
    let folder = shell_word(&folder.display().to_string());
    let listen = if manager.ip().is_loopback() {
        format!("--listen-addr 127.0.0.{number}:{}", manager.port())
    } else {
        // Other machines must reach it, so it shares the address and takes another port.
        format!("--listen-addr 0.0.0.0:{} --ingress-addr 127.0.0.{number}", NODE_PORT.saturating_add(u16::from(number) - 1))
    };
    format!("{program} --data-dir {folder} join {listen} --token {} {manager}", shell_word(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_further_node_has_a_folder_and_an_address_of_its_own() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("n");
        let shown = folder.display();
        let manager = "127.0.0.1:2400".parse().unwrap();
        assert_eq!(
            join("mc", &folder, "T", manager),
            format!("mc --data-dir {shown}-2 join --listen-addr 127.0.0.2:2400 --token T 127.0.0.1:2400")
        );
        std::fs::create_dir(base.path().join("n-2")).unwrap();
        std::fs::write(base.path().join("n-2/node.json"), "").unwrap();
        assert_eq!(init("mc", &folder), format!("mc --data-dir {shown}-3 init --listen-addr 127.0.0.3:2377"));
        let elsewhere = join("mc", &folder, "T", "192.0.2.7:2377".parse().unwrap());
        assert_eq!(
            elsewhere,
            format!("mc --data-dir {shown}-3 join --listen-addr 0.0.0.0:2379 --ingress-addr 127.0.0.3 --token T 192.0.2.7:2377")
        );
    }
}
