//! The workflows of the conformance suite. What stands in quotes is the suite's own name of the case.
use super::{Answer, INDEX, MANIFEST, Registry, digest, manifest};

const REPOSITORY: &str = "conformance/main";
const OTHER: &str = "conformance/crossmount";
const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
const LAYER: &[u8] = b"the layer of the conformance suite";
const NOWHERE: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[track_caller]
fn case(name: &str, answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{name}: {answer:?}, not one of {statuses:?}");
}

fn path(rest: &str) -> String {
    format!("/v2/{REPOSITORY}/{rest}")
}

/// Config, layer and the digest of a manifest of both under `tag`.
fn populate(registry: &Registry, tag: &str) -> (String, String, String) {
    let (config, layer) = (registry.push_blob(REPOSITORY, CONFIG), registry.push_blob(REPOSITORY, LAYER));
    let manifest = manifest(&config, CONFIG.len(), &[(&layer, LAYER.len())], "");
    let pushed = registry.push_manifest(REPOSITORY, tag, &manifest);
    case("Populate registry with test manifest", &pushed, &[201]);
    (config, layer, digest(&manifest))
}

#[test]
fn workflow_pull() {
    let registry = Registry::start();
    let (config, layer, manifest) = populate(&registry, "tagtest0");
    let head = |rest: &str| registry.send("HEAD", &path(rest), &[], b"");
    let get = |rest: &str| registry.get(&path(rest));

    case("HEAD request to nonexistent blob should result in 404 response", &head(&format!("blobs/{NOWHERE}")), &[404]);
    let answer = head(&format!("blobs/{config}"));
    case("HEAD request to existing blob should yield 200", &answer, &[200]);
    assert_eq!((answer.header("docker-content-digest"), answer.header("content-length")), (config.clone(), CONFIG.len().to_string()));
    case("GET nonexistent blob should result in 404 response", &get(&format!("blobs/{NOWHERE}")), &[404]);
    let answer = get(&format!("blobs/{layer}"));
    case("GET request to existing blob URL should yield 200", &answer, &[200]);
    assert_eq!(answer.body, LAYER);

    case("HEAD request to nonexistent manifest should return 404", &head("manifests/.INVALID_MANIFEST_NAME"), &[404]);
    let answer = head(&format!("manifests/{manifest}"));
    case("HEAD request to manifest[0] path (digest) should yield 200 response", &answer, &[200]);
    assert_eq!(answer.header("docker-content-digest"), manifest);
    let answer = head("manifests/tagtest0");
    case("HEAD request to manifest path (tag) should yield 200 response", &answer, &[200]);
    assert_eq!(answer.header("docker-content-digest"), manifest);
    case("GET nonexistent manifest should return 404", &get("manifests/.INVALID_MANIFEST_NAME"), &[404]);
    let answer = get(&format!("manifests/{manifest}"));
    case("GET request to manifest[0] path (digest) should yield 200 response", &answer, &[200]);
    assert_eq!((digest(&answer.body), answer.header("content-type")), (manifest.clone(), MANIFEST.to_owned()));
    let answer = get("manifests/tagtest0");
    case("GET request to manifest path (tag) should yield 200 response", &answer, &[200]);
    assert_eq!(digest(&answer.body), manifest);

    let answer = registry.push_manifest(REPOSITORY, "sha256:totallywrong", br#"{"schemaVersion":2}"#);
    case("400 response body should contain OCI-conforming JSON message", &answer, &[400, 404]);
    let error = &answer.json()["errors"][0];
    assert!(error["code"].is_string() && error["message"].is_string(), "{answer:?}");
}

#[test]
fn workflow_push() {
    let registry = Registry::start();
    let octets = [("content-type", "application/octet-stream")];
    let blob = b"streamed".as_slice();
    let answer = registry.send("PATCH", &registry.begin(REPOSITORY), &octets, blob);
    case("PATCH request with blob in body should yield 202 response", &answer, &[202]);
    let end = format!("{}?digest={}", answer.header("location"), digest(blob));
    case("PUT request to session URL with digest should yield 201 response", &registry.send("PUT", &end, &octets, b""), &[201]);

    monolithic(&registry);
    chunked(&registry);
    mounted(&registry);
    manifests(&registry);
}

fn monolithic(registry: &Registry) {
    let octets = [("content-type", "application/octet-stream")];
    let config = digest(CONFIG);
    case("GET nonexistent blob should result in 404 response", &registry.get(&path(&format!("blobs/{NOWHERE}"))), &[404]);
    let answer = registry.send("POST", &path(&format!("blobs/uploads/?digest={config}")), &octets, CONFIG);
    case("POST request with digest and blob should yield a 201 or 202", &answer, &[201]);
    let answer = registry.get(&answer.header("location"));
    case("GET request to blob URL from prior request should yield 200 or 404 based on response code", &answer, &[200]);
    let layer = digest(LAYER);
    let session = registry.begin(REPOSITORY); // POST request should yield a session ID
    let answer = registry.send("PUT", &format!("{session}?digest={}", layer.replace(':', "%3A")), &octets, LAYER);
    case("PUT upload of a layer blob should yield a 201 Response", &answer, &[201]);
    let answer = registry.get(&answer.header("location"));
    case("GET request to existing layer should yield 200 response", &answer, &[200]);
    assert_eq!(answer.body, LAYER);
}

fn chunked(registry: &Registry) {
    let blob = b"a first chunk and a second one".as_slice();
    let (first, second) = blob.split_at(13);
    let (first_range, second_range) = ("0-12".to_owned(), format!("13-{}", blob.len() - 1));
    let chunk = |method: &str, path: &str, range: &str, body: &[u8]| {
        registry.send(method, path, &[("content-type", "application/octet-stream"), ("content-range", range)], body)
    };
    let session = registry.begin(REPOSITORY);
    case("Out-of-order blob upload should return 416", &chunk("PATCH", &session, &second_range, second), &[416]);
    let answer = chunk("PATCH", &session, &first_range, first);
    case("PATCH request with first chunk should return 202", &answer, &[202]);
    assert_eq!(answer.header("range"), "0-12");
    case("Retry previous blob chunk should return 416", &chunk("PATCH", &session, &first_range, first), &[416]);
    let answer = registry.get(&session);
    case("Get on stale blob upload should return 204 with a range and location", &answer, &[204]);
    assert_eq!((answer.header("range"), answer.header("location")), ("0-12".to_owned(), session.clone()));
    let answer = chunk("PATCH", &session, &second_range, second);
    case("PATCH request with second chunk should return 202", &answer, &[202]);
    let answer = registry.send("PUT", &format!("{session}?digest={}", digest(blob)), &[], b"");
    case("PUT request with digest should return 201", &answer, &[201]);
    assert_eq!(registry.get(&answer.header("location")).body, blob);
    case("an upload that has ended is unknown", &registry.get(&session), &[404]);

    // The last chunk may come with the end.
    let session = registry.begin(REPOSITORY);
    case("first chunk", &chunk("PATCH", &session, &first_range, first), &[202]);
    case("last chunk with the end", &chunk("PUT", &format!("{session}?digest={}", digest(blob)), &second_range, second), &[201]);
}

fn mounted(registry: &Registry) {
    let layer = digest(LAYER);
    let mount = |digest: &str, from: &str| registry.send("POST", &format!("/v2/{OTHER}/blobs/uploads/?mount={digest}{from}"), &[], b"");
    let from = format!("&from={}", REPOSITORY.replace('/', "%2F"));
    let answer = mount(NOWHERE, "");
    case("Cross-mounting of a blob without the from argument should yield session id", &answer, &[202]);
    assert!(answer.header("location").contains("/blobs/uploads/"));
    let answer = mount(&layer, &from);
    case("POST request to mount another repository's blob should return 201 or 202", &answer, &[201]);
    assert_eq!(answer.header("location"), format!("/v2/{OTHER}/blobs/{layer}"));
    let answer = registry.get(&format!("/v2/{OTHER}/blobs/{layer}"));
    case("GET request to test digest within cross-mount namespace should return 200", &answer, &[200]);
    assert_eq!(answer.body, LAYER);
    case("Cross-mounting of nonexistent blob should yield session id", &mount(NOWHERE, &from), &[202]);
    let answer = mount(&digest(CONFIG), "");
    case("Cross-mounting without from, and automatic content discovery enabled should return a 201", &answer, &[201]);
}

fn manifests(registry: &Registry) {
    let (config, layer) = (digest(CONFIG), digest(LAYER));
    case("GET nonexistent manifest should return 404", &registry.get(&path("manifests/.INVALID_MANIFEST_NAME")), &[404]);
    let full = manifest(&config, CONFIG.len(), &[(&layer, LAYER.len())], "");
    for tag in ["test0", "test1", "test2", "test3"] {
        let answer = registry.push_manifest(REPOSITORY, tag, &full);
        case("PUT should accept a manifest upload", &answer, &[201]);
        assert_eq!(answer.header("docker-content-digest"), digest(&full));
        assert!(!answer.header("location").is_empty());
    }
    let empty = manifest(&config, CONFIG.len(), &[], "");
    case("Registry should accept a manifest upload with no layers", &registry.push_manifest(REPOSITORY, "emptylayer", &empty), &[201]);
    let by_digest = registry.push_manifest(REPOSITORY, &digest(&full), &full);
    case("a manifest can be pushed by its digest", &by_digest, &[201]);
    let answer = registry.get(&path(&format!("manifests/{}", digest(&full))));
    case("GET request to manifest URL (digest) should yield 200 response", &answer, &[200]);
    assert_eq!(answer.body, full);
    case("a wrong digest is refused", &registry.push_manifest(REPOSITORY, NOWHERE, &full), &[400]);
}

#[test]
fn workflow_content_discovery() {
    let registry = Registry::start();
    assert_eq!(registry.get("/v2/_catalog").body, br#"{"repositories":[]}"#);
    let (config, _, subject) = populate(&registry, "test0");
    for tag in ["test2", "test1", "test3", "TEST"] {
        populate(&registry, tag);
    }
    let tags = |query: &str| {
        let answer = registry.get(&path(&format!("tags/list{query}")));
        case("GET request to list tags should yield 200 response", &answer, &[200]);
        (answer.json()["tags"].clone(), answer)
    };
    let (all, answer) = tags("");
    assert_eq!(
        (all.clone(), &answer.json()["name"]),
        (serde_json::json!(["TEST", "test0", "test1", "test2", "test3"]), &REPOSITORY.into())
    );
    // GET number of tags should be limitable by `n` query parameter
    let (some, answer) = tags("?n=2");
    assert_eq!(some, serde_json::json!(["TEST", "test0"]));
    let link = answer.header("link");
    let next = link.trim_start_matches('<').split_once('>').unwrap().0.to_owned();
    assert_eq!(registry.get(&next).json()["tags"], serde_json::json!(["test1", "test2"]));
    // GET start of tag is set by `last` query parameter
    assert_eq!(tags("?n=10&last=test1").0, serde_json::json!(["test2", "test3"]));
    assert_eq!(tags("?n=0").0, serde_json::json!([]));
    case("tags of no repository", &registry.get("/v2/conformance/none/tags/list"), &[404]);

    registry.push_blob("zebra", b"z");
    assert_eq!(registry.get("/v2/_catalog").json()["repositories"], serde_json::json!([REPOSITORY, "zebra"]));
    let page = registry.get("/v2/_catalog?n=1");
    assert_eq!(page.json()["repositories"], serde_json::json!([REPOSITORY]));
    assert!(page.header("link").starts_with("</v2/_catalog?n=1&last="));
    referrers(&registry, &config, &subject);
}

fn referrers(registry: &Registry, config: &str, subject: &str) {
    let list = |digest: &str, query: &str| registry.get(&path(&format!("referrers/{digest}{query}")));
    let answer = list(NOWHERE, "");
    case("GET request to nonexistent blob should result in empty 200 response", &answer, &[200]);
    assert_eq!((answer.header("content-type"), answer.json()["manifests"].clone()), (INDEX.to_owned(), serde_json::json!([])));
    let refers = |to: &str, kind: &str| {
        let extra = format!(
            r#","artifactType":"{kind}","subject":{{"mediaType":"{MANIFEST}","digest":"{to}","size":2}},"annotations":{{"kind":"{kind}"}}"#
        );
        let manifest = manifest(config, CONFIG.len(), &[], &extra);
        let answer = registry.push_manifest(REPOSITORY, &digest(&manifest), &manifest);
        case("References setup", &answer, &[201]);
        assert_eq!(answer.header("oci-subject"), to);
        digest(&manifest)
    };
    let (a, _b) = (refers(subject, "application/vnd.test.a"), refers(subject, "application/vnd.test.b"));
    let answer = list(subject, "");
    case("GET request to existing blob should yield 200", &answer, &[200]);
    assert_eq!(answer.json()["manifests"].as_array().unwrap().len(), 2);
    let answer = list(subject, "?artifactType=application/vnd.test.a");
    case("GET request to existing blob with filter should yield 200", &answer, &[200]);
    assert_eq!(answer.header("oci-filters-applied"), "artifactType");
    let only = answer.json()["manifests"].clone();
    assert_eq!((only.as_array().unwrap().len(), &only[0]["digest"]), (1, &a.clone().into()));
    assert_eq!(
        (&only[0]["artifactType"], &only[0]["annotations"]["kind"]),
        (&"application/vnd.test.a".into(), &"application/vnd.test.a".into())
    );
    let early = refers(NOWHERE, "application/vnd.test.a");
    let answer = list(NOWHERE, "");
    case("GET request to missing manifest should yield 200", &answer, &[200]);
    assert_eq!(answer.json()["manifests"][0]["digest"], early);
    case("References teardown", &registry.send("DELETE", &path(&format!("manifests/{a}")), &[], b""), &[202]);
    assert_eq!(list(subject, "").json()["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn workflow_content_management() {
    let registry = Registry::start();
    let (config, layer, manifest) = populate(&registry, "tagtest0");
    populate(&registry, "other");
    let delete = |rest: &str| registry.send("DELETE", &path(rest), &[], b"");
    let tags = || registry.get(&path("tags/list")).json()["tags"].clone();
    assert_eq!(tags(), serde_json::json!(["other", "tagtest0"]));
    let answer = delete("manifests/tagtest0");
    case("DELETE request to manifest tag should return 202, unless tag deletion is disallowed (400/405)", &answer, &[202]);
    case("the tag is gone", &registry.get(&path("manifests/tagtest0")), &[404]);
    let answer = delete(&format!("manifests/{manifest}"));
    case("DELETE request to manifest (digest) should yield 202 response unless already deleted", &answer, &[202]);
    let answer = registry.get(&path(&format!("manifests/{manifest}")));
    case("GET request to deleted manifest URL should yield 404 response, unless delete is disallowed", &answer, &[404]);
    // GET request to tags list should reflect manifest deletion
    assert_eq!(tags(), serde_json::json!([]));
    for blob in [&config, &layer] {
        case("DELETE request to blob URL should yield 202 response", &delete(&format!("blobs/{blob}")), &[202]);
        let answer = registry.get(&path(&format!("blobs/{blob}")));
        case("GET request to deleted blob URL should yield 404 response", &answer, &[404]);
        case("a second deletion finds nothing", &delete(&format!("blobs/{blob}")), &[404]);
    }
    assert_eq!(registry.get("/v2/_catalog").body, br#"{"repositories":[]}"#);
}
