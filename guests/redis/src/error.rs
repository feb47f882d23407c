//! What a command refuses, in Redis' own words.

use std::borrow::Cow;
use std::fmt;

/// The text of an error reply, its code first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError(Cow<'static, str>);

pub const SYNTAX: CommandError = fixed("ERR syntax error");
pub const NOT_AN_INTEGER: CommandError = fixed("ERR value is not an integer or out of range");
pub const NOT_A_FLOAT: CommandError = fixed("ERR value is not a valid float");
pub const OVERFLOW: CommandError = fixed("ERR increment or decrement would overflow");
pub const DECREMENT_OVERFLOW: CommandError = fixed("ERR decrement would overflow");
pub const NAN_OR_INFINITY: CommandError = fixed("ERR increment would produce NaN or Infinity");
pub const HASH_NOT_AN_INTEGER: CommandError = fixed("ERR hash value is not an integer");
pub const HASH_NOT_A_FLOAT: CommandError = fixed("ERR hash value is not a float");
pub const NOT_POSITIVE: CommandError = fixed("ERR value is out of range, must be positive");
pub const STRING_TOO_LONG: CommandError = fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
pub const WRONG_TYPE: CommandError = fixed("WRONGTYPE Operation against a key holding the wrong kind of value");
pub const OUT_OF_MEMORY: CommandError = fixed("OOM command not allowed when used memory > 'maxmemory'.");
pub const INVALID_CURSOR: CommandError = fixed("ERR invalid cursor");
pub const NO_SUCH_KEY: CommandError = fixed("ERR no such key");
pub const DB_OUT_OF_RANGE: CommandError = fixed("ERR DB index is out of range");

const fn fixed(text: &'static str) -> CommandError {
    CommandError(Cow::Borrowed(text))
}

impl CommandError {
    /// An error whose text is known at build time.
    pub const fn fixed(text: &'static str) -> Self {
        fixed(text)
    }

    /// An error that quotes its input. Line breaks would end the reply early: they become spaces.
    pub fn new(text: impl Into<String>) -> Self {
        let text: String = text.into();
        Self(Cow::Owned(text.replace(['\r', '\n'], " ")))
    }

    /// `name` may be `command` or `command|subcommand`.
    pub fn arity(name: &str) -> Self {
        Self::new(format!("ERR wrong number of arguments for '{name}' command"))
    }

    pub fn invalid_expire(name: &str) -> Self {
        Self::new(format!("ERR invalid expire time in '{name}' command"))
    }

    /// Redis quotes at most 128 bytes of the name, and of the arguments together.
    pub fn unknown_command(arguments: &[Vec<u8>]) -> Self {
        const QUOTED_BYTES_MAX: usize = 128;
        let quote = |text: &[u8], max: usize| String::from_utf8_lossy(&text[..text.len().min(max)]).into_owned();
        let name = arguments.first().map_or_else(String::new, |name| quote(name, QUOTED_BYTES_MAX));
        let mut quoted = String::new();
        for argument in arguments.iter().skip(1) {
            let Some(room) = QUOTED_BYTES_MAX.checked_sub(quoted.len()).filter(|room| *room > 0) else {
                break;
            };
            quoted.push_str(&format!("'{}' ", quote(argument, room)));
        }
        Self::new(format!("ERR unknown command '{name}', with args beginning with: {quoted}"))
    }

    pub fn unknown_subcommand(command: &str, name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(&name[..name.len().min(128)]).into_owned();
        let command = command.to_uppercase();
        Self::new(format!("ERR unknown subcommand '{name}'. Try {command} HELP."))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn unknown_commands_are_quoted_as_redis_quotes_them() {
        let error = CommandError::unknown_command(&arguments(&["foo", "bar", "b\nz"]));
        let expected = "ERR unknown command 'foo', with args beginning with: 'bar' 'b z' ";
        assert_eq!(error.text(), expected);
        let long = "x".repeat(500);
        let error = CommandError::unknown_command(&arguments(&[&long, &long, &long]));
        assert!(error.text().len() < 400);
    }
}
