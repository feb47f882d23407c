//! An end with a code of its own: that of a task, or one that tells why there was none.
use std::fmt;

/// What the program ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: u8,
    /// Said on standard error; `None` where the task has said all there is.
    pub why: Option<String>,
}

impl Exit {
    pub fn new(code: u8, why: impl Into<String>) -> Exit {
        Exit { code, why: Some(why.into()) }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => f.write_str(why),
            None => write!(f, "exit code {}", self.code),
        }
    }
}

impl std::error::Error for Exit {}
