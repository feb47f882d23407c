use super::*;

struct World {
    store: Store,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { store: Store::open(folder.path()).unwrap(), folder }
    }

    fn blob(&self, repository: &str, content: &[u8]) -> Digest {
        let (id, digest) = ("0".repeat(32), Digest::of(content));
        self.store.begin_upload(&id).unwrap();
        fs::write(self.folder.path().join(Store::upload_path(&id)), content).unwrap();
        self.store.finish_upload(repository, &id, &digest).unwrap();
        digest
    }

    fn manifest(&self, repository: &str, text: &str, tag: Option<&str>) -> Result<Digest, Fault> {
        let manifest = Manifest::read(text.as_bytes(), None)?;
        self.store.put_manifest(repository, text.as_bytes(), &manifest, tag)
    }

    fn contents(&self) -> usize {
        names(&self.folder.path().join("blobs")).unwrap().len()
    }
}

fn of(layer: &Digest) -> String {
    format!(r#"{{"mediaType":"m","layers":[{{"mediaType":"l","digest":"{layer}","size":1}}]}}"#)
}

#[test]
fn a_blob_belongs_to_the_repository_it_was_pushed_to() {
    let world = World::new();
    let digest = world.blob("a/b", b"content");
    assert_eq!(world.store.blob_size("a/b", &digest), Ok(7));
    assert_eq!(world.store.blob_size("a", &digest).unwrap_err().code, Code::BlobUnknown);
    assert_eq!(world.store.mount("c", &digest, Some("a")), Ok(false));
    assert_eq!(world.store.mount("c", &digest, Some("a/b")), Ok(true));
    assert_eq!(world.store.mount("d", &digest, None), Ok(true));
    assert_eq!(world.store.mount("d", &Digest::of(b"other"), None), Ok(false));
    assert_eq!(world.store.repositories().unwrap(), ["a/b", "c", "d"]);
}

#[test]
fn content_goes_with_its_last_repository() {
    let world = World::new();
    let digest = world.blob("a", b"content");
    world.store.mount("b", &digest, None).unwrap();
    world.store.delete_blob("a", &digest).unwrap();
    assert_eq!((world.contents(), world.store.blob_size("b", &digest)), (1, Ok(7)));
    assert_eq!(world.store.delete_blob("a", &digest).unwrap_err().status, 404);
    world.store.delete_blob("b", &digest).unwrap();
    assert_eq!(world.contents(), 0);
}

#[test]
fn a_manifest_needs_its_blobs() {
    let world = World::new();
    let layer = Digest::of(b"layer");
    assert_eq!(world.manifest("a", &of(&layer), Some("v1")).unwrap_err().code, Code::ManifestBlobUnknown);
    assert_eq!(world.store.tags("a").unwrap_err().code, Code::NameUnknown);
    world.blob("a", b"layer");
    let digest = world.manifest("a", &of(&layer), Some("v1")).unwrap();
    assert_eq!(world.store.tagged("a", "v1"), Ok(digest.clone()));
    assert_eq!(world.store.manifest("a", &digest).unwrap().0, "m");
    assert_eq!(world.store.manifest_content(&digest).unwrap(), of(&layer).as_bytes());
}

#[test]
fn a_deleted_manifest_takes_its_tags_and_its_place_among_referrers() {
    let world = World::new();
    let subject = Digest::of(b"subject");
    let text = format!(r#"{{"mediaType":"m","artifactType":"t","subject":{{"mediaType":"m","digest":"{subject}","size":1}}}}"#);
    let digest = world.manifest("a", &text, Some("v1")).unwrap();
    world.manifest("a", &text, Some("v2")).unwrap();
    let other = world.manifest("a", r#"{"mediaType":"m"}"#, Some("v3")).unwrap();
    let referrers = world.store.referrers("a", &subject).unwrap();
    assert_eq!((referrers.len(), referrers[0].artifact_type.as_deref()), (1, Some("t")));
    assert_eq!(world.store.tags("a").unwrap(), ["v1", "v2", "v3"]);

    world.store.delete_manifest("a", &digest).unwrap();
    assert_eq!(world.store.tags("a").unwrap(), ["v3"]);
    assert_eq!(world.store.referrers("a", &subject).unwrap(), []);
    assert_eq!(world.store.delete_manifest("a", &digest).unwrap_err().status, 404);
    world.store.delete_tag("a", "v3").unwrap();
    assert_eq!(world.store.tags("a").unwrap(), Vec::<String>::new());
    assert!(world.store.manifest("a", &other).is_ok());
}

#[test]
fn only_old_uploads_are_given_up() {
    let world = World::new();
    let id = "0".repeat(32);
    world.store.begin_upload(&id).unwrap();
    assert!(world.store.begin_upload(&id).is_err());
    world.store.forget_old_uploads(SystemTime::now()).unwrap();
    assert_eq!(world.store.upload_size(&id), Ok(0));
    world.store.forget_old_uploads(SystemTime::now() + UPLOAD_AGE_MAX * 2).unwrap();
    assert_eq!(world.store.upload_size(&id).unwrap_err().code, Code::BlobUploadUnknown);
    assert_eq!(world.store.end_upload(&id).unwrap_err().status, 404);
}
