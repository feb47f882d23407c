//! `--secret password`, `--secret source=password,target=db,mode=0400`; the same for `--config`.
use minicloud_node::api::types::FileUse;

const EXAMPLE: &str = "password, or source=password,target=db-password,mode=0400";

/// A secret or config and where the task sees it.
pub fn file_use(text: &str) -> Result<FileUse, String> {
    if !text.contains(['=', ',']) {
        let named = FileUse { source: text.to_owned(), ..FileUse::default() };
        return if text.is_empty() { Err(format!("the name is empty; write for example {EXAMPLE}")) } else { Ok(named) };
    }
    let mut file = FileUse::default();
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match (key.trim(), value.trim()) {
            ("source" | "src" | "name", name) if !name.is_empty() => file.source = name.to_owned(),
            ("target" | "dst" | "destination", path) if !path.is_empty() => file.target = Some(path.to_owned()),
            ("mode", mode) => file.mode = Some(octal(mode)?),
            // A task has no users; docker's words are taken, and mean nothing.
            ("uid" | "gid", id) if id.bytes().all(|c| c.is_ascii_digit()) => {}
            ("type", "secret" | "config") => {}
            _ => return Err(format!("'{field}' in '{text}' is not understood; write for example {EXAMPLE}")),
        }
    }
    if file.source.is_empty() {
        return Err(format!("'{text}' names no source; write for example {EXAMPLE}"));
    }
    Ok(file)
}

fn octal(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| format!("'{text}' is no mode; write it in octal, for example 0400"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_docker_writes_them() {
        let plain = FileUse { source: "password".into(), ..FileUse::default() };
        assert_eq!(file_use("password"), Ok(plain.clone()));
        assert_eq!(file_use("source=password"), Ok(plain.clone()));
        let full = FileUse { target: Some("db".into()), mode: Some(0o400), ..plain };
        assert_eq!(file_use("source=password,target=db,mode=0400"), Ok(full.clone()));
        assert_eq!(file_use("src=password,dst=db,uid=33,gid=33,mode=400"), Ok(full));
    }

    #[test]
    fn what_is_wrong_says_what_is_right() {
        for (text, message) in [
            ("", "the name is empty"),
            ("target=db", "names no source"),
            ("source=a,colour=blue", "'colour=blue' in"),
            ("source=a,mode=0999", "'0999' is no mode"),
            ("source=a,mode=77777", "is no mode"),
            ("source=a,target=", "is not understood"),
        ] {
            let error = file_use(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
