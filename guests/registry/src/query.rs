//! The query of a request. Pure.

/// The first value of a key, decoded; `None` when the key is absent or its value is no text.
pub fn value(query: &str, key: &str) -> Option<String> {
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.into_iter().find(|(name, _)| *name == key).and_then(|(_, value)| decode(value))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// `text` as one value of a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = "digest=sha256%3Aab&from=a/b&empty=&from=c&bad=%zz&plus=a+b";
        assert_eq!(value(query, "digest").as_deref(), Some("sha256:ab"));
        assert_eq!(value(query, "from").as_deref(), Some("a/b"));
        assert_eq!(value(query, "empty").as_deref(), Some(""));
        assert_eq!(value(query, "plus").as_deref(), Some("a b"));
        assert_eq!(value(query, "bad"), None);
        assert_eq!(value("", "digest"), None);
        assert_eq!(encode("a/b c&d"), "a/b%20c%26d");
    }
}
