//! `--mount type=volume,source=data,target=/data[,readonly]`, and the same with `type=bind,source=/srv/data`
use minicloud_core::spec::{Mount, MountKind};

use super::boolean;

const EXAMPLE: &str = "type=volume,source=data,target=/data";
const BIND_EXAMPLE: &str = "type=bind,source=/srv/data,target=/data";

/// A volume or folder, and where the task sees it.
pub fn mount(text: &str) -> Result<Mount, String> {
    let (mut kind, mut source, mut target, mut read_only) = (MountKind::Volume, None, None, false);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        match (key.trim(), value) {
            ("type", Some("volume")) => kind = MountKind::Volume,
            ("type", Some("bind")) => kind = MountKind::Bind,
            ("type", Some("tmpfs")) => return Err(format!("a task has no temporary file system; mount a volume: {EXAMPLE}")),
            ("type", other) => return Err(format!("type '{}' is not offered; write for example {EXAMPLE}", other.unwrap_or_default())),
            ("source" | "src", Some(text)) if !text.is_empty() => source = Some(text.to_owned()),
            ("target" | "dst" | "destination", Some(path)) => target = Some(path.to_owned()),
            ("readonly" | "ro", value) => read_only = value.map_or(Ok(true), boolean)?,
            _ => return Err(format!("'{field}' in '{text}' is not understood; write for example {EXAMPLE}")),
        }
    }
    let example = if kind == MountKind::Bind { BIND_EXAMPLE } else { EXAMPLE };
    let source = source.ok_or_else(|| format!("'{text}' names no source; write for example {example}"))?;
    match kind {
        MountKind::Bind if !source.starts_with('/') => {
            return Err(format!("source '{source}' is no absolute path; write for example {BIND_EXAMPLE}"));
        }
        MountKind::Volume if source.starts_with(['/', '.', '~']) => {
            return Err(format!("'{source}' is a path and no name of a volume; write for example {BIND_EXAMPLE}"));
        }
        MountKind::Bind | MountKind::Volume => {}
    }
    let target = target.ok_or_else(|| format!("'{text}' names no target; write for example {example}"))?;
    if !target.starts_with('/') {
        return Err(format!("target '{target}' is no absolute path; write for example {example}"));
    }
    Ok(Mount { kind, source, target, read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_as_docker_writes_them() {
        let data = Mount { kind: MountKind::Volume, source: "data".into(), target: "/data".into(), read_only: false };
        assert_eq!(mount("type=volume,source=data,target=/data"), Ok(data.clone()));
        assert_eq!(mount("src=data,dst=/data"), Ok(data.clone()));
        let bind = Mount { kind: MountKind::Bind, source: "/srv/data".into(), ..data.clone() };
        assert_eq!(mount("type=bind,source=/srv/data,target=/data"), Ok(bind));
        let read_only = Ok(Mount { read_only: true, ..data });
        assert_eq!(mount("type=volume,source=data,destination=/data,readonly"), read_only);
        assert_eq!(mount("type=volume,source=data,target=/data,ro=true"), read_only);
    }

    #[test]
    fn what_cannot_be_mounted_says_why() {
        for (text, message) in [
            ("type=bind,source=etc,target=/etc", "no absolute path; write for example type=bind"),
            ("type=bind,target=/etc", "names no source; write for example type=bind"),
            ("source=/etc,target=/etc", "no name of a volume; write for example type=bind"),
            ("type=tmpfs,target=/tmp", "no temporary file system"),
            ("type=npipe,source=a,target=/a", "'npipe' is not offered"),
            ("type=volume,target=/data", "names no source"),
            ("source=data", "names no target"),
            ("source=data,target=data", "no absolute path"),
            ("source=data,target=/data,readonly=maybe", "neither true nor false"),
            ("data:/data", "is not understood"),
            ("", "is not understood"),
        ] {
            let error = mount(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
