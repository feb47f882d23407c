//! Whatever a file holds, it is read or refused: nothing panics, nothing grows without end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use minicloud_compose::{Files, Flavour, Request, Wanted, load, parse_env_file, translate, yaml};
use proptest::prelude::*;

/// Every file has the same text.
struct Everywhere(String);

impl Files for Everywhere {
    fn read(&self, _: &Path) -> io::Result<String> {
        Ok(self.0.clone())
    }
    fn is_file(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name != ".env")
    }
    fn is_folder(&self, _: &Path) -> bool {
        true
    }
}

fn read(text: &str) -> Option<String> {
    let files = Everywhere(text.to_owned());
    let env = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "- a: b # c".to_owned())]);
    let request = Request { folder: "/w/p".into(), files: vec![PathBuf::from("/w/p/compose.yml")], env, ..Request::default() };
    let loaded = load(&request, &files).ok()?;
    for flavour in [Flavour::Compose, Flavour::Stack] {
        let _ = translate(&loaded, flavour, &Wanted::default(), &files);
    }
    Some(yaml(&loaded.tree))
}

/// Texts as they stand in compose files, right and wrong.
fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("null".to_owned()),
        Just("web".to_owned()),
        Just("8000:80".to_owned()),
        Just("127.0.0.1::1-5/udp".to_owned()),
        Just("./a:/b:ro".to_owned()),
        Just("${A:-x}".to_owned()),
        Just("$B".to_owned()),
        Just("\"${A\"".to_owned()),
        Just("A$$=$$A".to_owned()),
        Just("{A$: $$$$A}".to_owned()),
        Just("1m30s".to_owned()),
        Just("!reset null".to_owned()),
        Just("compose.yml".to_owned()),
        Just("[a=1, b]".to_owned()),
        Just("{a: 1, path: x}".to_owned()),
        Just("{source: a, target: /b, type: bind}".to_owned()),
        "[ -~]{0,12}",
        "\\PC{0,8}",
    ]
}

const KEYS: &[&str] = &[
    "image",
    "build",
    "command",
    "environment",
    "env_file",
    "ports",
    "networks",
    "volumes",
    "depends_on",
    "healthcheck",
    "deploy",
    "labels",
    "restart",
    "hostname",
    "secrets",
    "configs",
    "scale",
    "profiles",
    "extends",
    "links",
    "x-own",
    "stop_grace_period",
    "mem_limit",
    "nonsense",
];

fn file() -> impl Strategy<Value = String> {
    let entry = (0..KEYS.len(), prop::collection::vec(scalar(), 1..3), any::<bool>());
    let service = prop::collection::vec(entry, 0..6);
    (prop::collection::vec(service, 1..4), prop::option::of(scalar())).prop_map(|(services, include)| {
        let mut text = include.map_or_else(String::new, |include| format!("include: [{include}]\n"));
        text.push_str("services:\n");
        for (number, entries) in services.into_iter().enumerate() {
            text.push_str(&format!("  s{number}:\n"));
            for (key, values, list) in entries {
                let key = KEYS[key];
                match list {
                    true => text
                        .push_str(&format!("    {key}:\n{}", values.iter().map(|value| format!("      - {value}\n")).collect::<String>())),
                    false => text.push_str(&format!("    {key}: {}\n", values[0])),
                }
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        read(&text);
    }

    #[test]
    fn any_lines_are_read_or_refused(lines in prop::collection::vec("[ -]{0,4}[a-z<&*!${}:\\[\\]\"']{0,10}:? ?[ -~]{0,10}", 0..12)) {
        read(&lines.join("\n"));
    }

    #[test]
    fn any_compose_file_is_read_or_refused(text in file()) {
        read(&text);
    }

    #[test]
    fn what_config_prints_means_the_same(text in file()) {
        if let Some(printed) = read(&text) {
            let again = read(&printed);
            prop_assert_eq!(again.as_deref(), Some(printed.as_str()));
        }
    }

    #[test]
    fn any_variables_are_read_or_refused(text in "[ -~\\n\"'#=$\\{\\}\\\\]{0,120}") {
        let _ = parse_env_file(".env", &text, &|_| None);
    }
}

#[test]
fn a_ring_of_includes_ends() {
    assert_eq!(read("include: [compose.yml]\n"), None);
    assert!(read("services: {a: {image: x}}\n").unwrap().contains("image: x"));
}
