//! What users type, as values: sizes, durations, ports, mounts and the like. Called by clap while it reads the flags.
//!
//! Each wrong value is one line that shows a right one.
mod amount;
mod duration;
mod file_use;
mod health;
mod key_value;
mod mount;
mod port;
mod since;

use std::str::FromStr;

use ipnet::Ipv4Net;

pub use amount::{cpu, ratio, size};
pub use duration::duration_ms;
pub use file_use::file_use;
pub use health::health_http;
pub use key_value::{EnvArg, KeyValue, env, env_file, key_value, resolve_env, scale};
pub use mount::mount;
pub use port::{Ports, publish, target_port};
pub use since::{Since, since};

/// Yes or no, in every spelling that Docker's flags take.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" | "t" | "T" | "1" => Ok(true),
        "false" | "False" | "FALSE" | "f" | "F" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

/// A whole number.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| format!("'{text}' is no number that fits; write for example 3"))
}

/// A port that something can listen on.
pub fn port_number(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("'{text}' is no port; write for example 8080"))
}

/// A range of addresses.
pub fn subnet(text: &str) -> Result<Ipv4Net, String> {
    text.parse().map_err(|_| format!("'{text}' is no range of addresses; write for example 10.9.0.0/16"))
}

/// `text` cut into words as a shell would: quotes keep blanks together.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    shlex::split(text).ok_or_else(|| format!("'{text}' has a quote that is not closed; write for example \"--port 6380\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_docker_s_spellings() {
        assert_eq!(boolean("true"), Ok(true));
        assert_eq!(boolean("0"), Ok(false));
        assert_eq!(boolean("yes"), Err("'yes' is neither true nor false".to_owned()));
    }

    #[test]
    fn numbers_are_plain() {
        assert_eq!(number::<u32>("3"), Ok(3));
        for text in ["", "+3", "-3", "three", "4294967296"] {
            assert!(number::<u32>(text).unwrap_err().contains("for example 3"), "{text}");
        }
        assert_eq!(port_number("8080"), Ok(8080));
        assert!(port_number("0").is_err() && port_number("65536").is_err());
    }

    #[test]
    fn a_subnet_is_shown_where_there_is_none() {
        assert!(subnet("10.9.0.0/16").is_ok());
        assert_eq!(subnet("ten"), Err("'ten' is no range of addresses; write for example 10.9.0.0/16".to_owned()));
    }

    #[test]
    fn arguments_are_cut_as_a_shell_does() {
        assert_eq!(words("--port 6380 --name 'a b'").unwrap(), ["--port", "6380", "--name", "a b"]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        assert!(words("'a").unwrap_err().contains("not closed"));
    }
}
