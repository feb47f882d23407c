//! What compose files can say, through `up`: several of them, others that they take in, variables, profiles, conditions.
use super::{compose, file, project, running, up};
use crate::support::{guest, wait_for};

/// A service whose one line tells its arguments.
fn says(words: &str) -> String {
    format!("image: '{}', command: [args, {words}]", guest("test-cli2").display())
}

#[test]
fn files_are_laid_over_each_other_and_take_in_others() {
    let (cluster, base) = project("");
    let node = &cluster.nodes[0];
    let text = format!(
        "include: [other/included.yml]\nservices:\n  base: {{{}, environment: {{LEVEL: low}}}}\n  heir:\n    extends: base\n    command: [env]\n  \
         extra: {{{}, profiles: [debug]}}\n  never: {{image: rng, profiles: [never]}}\n",
        says("'${WORD:?set it in .env}'"),
        says("debugging")
    );
    std::fs::write(&base, text).unwrap();
    std::fs::create_dir(cluster.folder().join("other")).unwrap();
    file(&cluster, "other/included.yml", &format!("services:\n  included: {{{}}}\n", says("'${FOLDER_WORD}'")));
    file(&cluster, "other/.env", "FOLDER_WORD=from the folder of the included file\n");
    file(&cluster, ".env", "WORD=from .env\nCOMPOSE_PROFILES=debug\n");
    let over = file(&cluster, "over.yml", "services:\n  heir: {environment: {LEVEL: high}}\n");

    let lines = up(node, &base, &["-f", over.to_str().unwrap()]);
    for line in [
        r#"base-1      | ["from .env"]"#,
        r#"included-1  | ["from the folder of the included file"]"#,
        "heir-1      | LEVEL=high",
        r#"extra-1     | ["debugging"]"#,
    ] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
    assert!(!lines.contains("never"), "{lines}");
    compose(node, &["down"]);
}

#[test]
fn a_service_waits_until_those_it_needs_are_well() {
    let (cluster, file) = project("");
    let node = &cluster.nodes[0];
    let text = |path: &str| {
        format!(
            "services:\n  rng:\n    image: rng\n    healthcheck: {{test: [CMD, curl, -f, 'http://localhost{path}'], interval: 200ms, retries: 2}}\n  \
             after: {{{}, depends_on: {{rng: {{condition: service_healthy}}}}}}\n",
            says("well")
        )
    };
    std::fs::write(&file, text("/no/such/page")).unwrap();
    let args = ["compose", "-p", "coins", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()].map(str::to_owned);
    let refused = node.refused(&args.each_ref().map(String::as_str));
    assert!(refused.contains("rng") && refused.contains("404"), "{refused}");
    assert!(!compose(node, &["ps", "-a"]).contains("after-1"), "what needs it was not started");

    std::fs::write(&file, text("/")).unwrap();
    up(node, &file, &["-d"]);
    wait_for("the second one runs", || compose(node, &["logs", "after"]).contains("[\"well\"]").then_some(()));
    wait_for("only what goes on is left", || (running(node) == ["rng-1"]).then_some(()));
    compose(node, &["down"]);
}

#[test]
fn what_means_nothing_is_named_once_with_its_line() {
    let (cluster, file) =
        project("services:\n  a:\n    image: rng\n    privileged: true\n    tty: true\n  b:\n    image: hasher\n    privileged: true\n");
    let node = &cluster.nodes[0];
    let output = node.cli(&["compose", "-f", file.to_str().unwrap(), "up", "-d", "--address", &node.ip.to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let warnings: Vec<&str> = said.lines().filter(|line| line.starts_with("warning")).collect();
    assert_eq!(warnings.len(), 2, "{said}");
    assert!(warnings[0].contains("compose.yml:4: 'privileged' means nothing here") && warnings[0].contains("1 more place"), "{said}");
    assert!(warnings[1].contains("compose.yml:5: 'tty' means nothing here: a task has no terminal"), "{said}");
    node.ok(&["compose", "-f", file.to_str().unwrap(), "down"]);
}
