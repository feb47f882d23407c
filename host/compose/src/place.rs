//! Where something stands in a file, and what is to be said of it.
use std::fmt;
use std::sync::Arc;

/// A place in a file; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub file: Arc<str>,
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong in a compose file: one line, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", .at.as_ref().map_or_else(String::new, |at| format!("{at}: ")))]
pub struct Error {
    pub at: Option<Place>,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(message: impl Into<String>) -> Self {
        Error { at: None, message: message.into() }
    }

    pub fn at(at: &Place, message: impl Into<String>) -> Self {
        Error { at: Some(at.clone()), message: message.into() }
    }

    /// The same error, at `at` unless it knows a place of its own.
    pub(crate) fn or_at(self, at: &Place) -> Self {
        Error { at: self.at.or_else(|| Some(at.clone())), ..self }
    }
}

/// What is accepted, but does not do what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub at: Option<Place>,
    pub message: String,
}

impl Warning {
    pub(crate) fn at(at: &Place, message: impl Into<String>) -> Self {
        Warning { at: Some(at.clone()), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some(at) => write!(f, "{}:{}: {}", at.file, at.line, self.message),
            None => f.write_str(&self.message),
        }
    }
}
