//! `--mount type=volume,source=data,target=/data[,readonly]`
use minicloud_core::spec::Mount;

use super::boolean;

const EXAMPLE: &str = "type=volume,source=data,target=/data";

/// A volume and where the task sees it.
pub fn mount(text: &str) -> Result<Mount, String> {
    let (mut volume, mut target, mut read_only) = (None, None, false);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').map_or((field, None), |(key, value)| (key, Some(value)));
        match (key.trim(), value) {
            ("type", Some("volume")) => {}
            ("type", Some("bind")) => return Err(format!("a task sees no folder of the machine; mount a volume: {EXAMPLE}")),
            ("type", Some("tmpfs")) => return Err(format!("a task has no temporary file system; mount a volume: {EXAMPLE}")),
            ("type", other) => return Err(format!("type '{}' is not offered; write for example {EXAMPLE}", other.unwrap_or_default())),
            ("source" | "src", Some(name)) if !name.is_empty() => volume = Some(name.to_owned()),
            ("target" | "dst" | "destination", Some(path)) => target = Some(path.to_owned()),
            ("readonly" | "ro", value) => read_only = value.map_or(Ok(true), boolean)?,
            _ => return Err(format!("'{field}' in '{text}' is not understood; write for example {EXAMPLE}")),
        }
    }
    let volume = volume.ok_or_else(|| format!("'{text}' names no volume; write for example {EXAMPLE}"))?;
    let target = target.ok_or_else(|| format!("'{text}' names no target; write for example {EXAMPLE}"))?;
    if !target.starts_with('/') {
        return Err(format!("target '{target}' is no absolute path; write for example {EXAMPLE}"));
    }
    Ok(Mount { volume, target, read_only })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_as_docker_writes_them() {
        let data = Mount { volume: "data".into(), target: "/data".into(), read_only: false };
        assert_eq!(mount("type=volume,source=data,target=/data"), Ok(data.clone()));
        assert_eq!(mount("src=data,dst=/data"), Ok(data.clone()));
        let read_only = Ok(Mount { read_only: true, ..data });
        assert_eq!(mount("type=volume,source=data,destination=/data,readonly"), read_only);
        assert_eq!(mount("type=volume,source=data,target=/data,ro=true"), read_only);
    }

    #[test]
    fn what_cannot_be_mounted_says_why() {
        for (text, message) in [
            ("type=bind,source=/etc,target=/etc", "sees no folder of the machine"),
            ("type=tmpfs,target=/tmp", "no temporary file system"),
            ("type=npipe,source=a,target=/a", "'npipe' is not offered"),
            ("type=volume,target=/data", "names no volume"),
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
