//! What repositories, tags and uploads may be called. All of it becomes names of files, so nothing else passes. Pure.

/// Characters of a repository's name, as clients bound it with a host before it.
const NAME_LENGTH_MAX: usize = 255;
const TAG_LENGTH_MAX: usize = 128;
const UPLOAD_LENGTH: usize = 32;

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
pub fn is_repository(name: &str) -> bool {
    name.len() <= NAME_LENGTH_MAX && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = part.split(alphanumeric).filter(|separator| !separator.is_empty());
    let edges = part.starts_with(alphanumeric) && part.ends_with(alphanumeric);
    edges && separators.into_iter().all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(word) && tag.len() <= TAG_LENGTH_MAX && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

/// As this registry makes them.
pub fn is_upload(id: &str) -> bool {
    id.len() == UPLOAD_LENGTH && id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_specification_s() {
        for name in ["a", "a/b", "library/my-app_x.y", "a__b", "a---b", "0/1"] {
            assert!(is_repository(name), "{name}");
        }
        for name in ["", "A", "a/", "/a", "a//b", "..", "a/../b", "a_-b", "_a", "a.", "a b", "ä", &"a".repeat(256)] {
            assert!(!is_repository(name), "{name}");
        }
    }

    #[test]
    fn tags_and_uploads_stay_in_their_folder() {
        assert!(is_tag("v1.0-rc_1") && is_tag("_") && is_tag(&"t".repeat(128)));
        assert!(!is_tag("") && !is_tag(".x") && !is_tag("..") && !is_tag("a/b") && !is_tag(&"t".repeat(129)));
        assert!(is_upload(&"0f".repeat(16)) && !is_upload("..") && !is_upload(&"0F".repeat(16)));
    }
}
