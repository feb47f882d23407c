//! The numbers of `/json`. Pure.

use guest_common::resp::Value;
use std::fmt::Write;
use std::time::Duration;

/// What `redis` answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Numbers {
    pub coins: i64,
    pub hashes: Option<String>,
}

impl Numbers {
    /// From the answers to `HLEN wallet` and `GET hashes`.
    pub fn from_answers(answers: [Value; 2]) -> Option<Self> {
        let [Value::Integer(coins), hashes] = answers else { return None };
        let hashes = match hashes {
            Value::Null => None,
            Value::Bulk(text) => Some(String::from_utf8_lossy(&text).into_owned()),
            _ => return None,
        };
        Some(Self { coins, hashes })
    }

    /// The answer to the page; `now` counts from the Unix epoch.
    pub fn to_json(&self, now: Duration) -> String {
        let hashes = self.hashes.as_deref().map_or_else(|| "null".to_owned(), json_string);
        let (seconds, micros) = (now.as_secs(), now.subsec_micros());
        format!("{{\"coins\": {}, \"hashes\": {hashes}, \"now\": {seconds}.{micros:06}}}", self.coins)
    }
}

/// The answer while there are no numbers.
pub fn error_json(error: &str) -> String {
    format!("{{\"error\": {}}}", json_string(error))
}

fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            // Writing to a string cannot fail.
            '\0'..' ' => drop(write!(json, "\\u{:04x}", character as u32)),
            _ => json.push(character),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::new(1_700_000_000, 5_000);

    #[test]
    fn coins_are_a_number_and_hashes_a_string() {
        let numbers = Numbers::from_answers([Value::Integer(3), Value::Bulk(b"47".to_vec())]).unwrap();
        let expected = r#"{"coins": 3, "hashes": "47", "now": 1700000000.000005}"#;
        assert_eq!(numbers.to_json(NOW), expected);
    }

    #[test]
    fn no_hashes_yet_is_null() {
        let numbers = Numbers::from_answers([Value::Integer(0), Value::Null]).unwrap();
        assert_eq!(numbers.to_json(NOW), r#"{"coins": 0, "hashes": null, "now": 1700000000.000005}"#);
    }

    #[test]
    fn other_answers_are_no_numbers() {
        assert_eq!(Numbers::from_answers([Value::Null, Value::Null]), None);
        assert_eq!(Numbers::from_answers([Value::Integer(1), Value::Integer(1)]), None);
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(error_json("a\"\\\n"), r#"{"error": "a\"\\\u000a"}"#);
    }
}
