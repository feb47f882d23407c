//! A small Redis client: one connection, commands pipelined, every wait bounded.

use crate::resp::{self, RespError, Value};
use crate::tcp::{Connection, TcpError};
use std::fmt;
use std::time::Duration;

/// A connection to a Redis server, speaking RESP2.
pub struct Client {
    connection: Connection,
    buffer: Vec<u8>,
}

/// Why a command has no answer. After any of these the connection is of no further use, except
/// after [`ClientError::Refused`].
#[derive(Debug)]
pub enum ClientError {
    Tcp(TcpError),
    Protocol(RespError),
    /// The server answered with an error.
    Refused(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(error) => write!(f, "redis: {error}"),
            Self::Protocol(error) => write!(f, "redis: {error}"),
            Self::Refused(text) => write!(f, "redis answered: {text}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl From<TcpError> for ClientError {
    fn from(error: TcpError) -> Self {
        Self::Tcp(error)
    }
}

impl From<RespError> for ClientError {
    fn from(error: RespError) -> Self {
        Self::Protocol(error)
    }
}

impl Client {
    pub async fn open(name: &str, port: u16, bound: Duration) -> Result<Self, ClientError> {
        let connection = Connection::open(name, port, bound).await?;
        Ok(Self { connection, buffer: Vec::new() })
    }

    /// Sends one command and returns its answer.
    pub async fn call(&mut self, command: &[&[u8]]) -> Result<Value, ClientError> {
        let mut bytes = Vec::new();
        resp::encode_command(&mut bytes, command);
        self.connection.write(bytes).await?;
        self.answer().await
    }

    /// Sends all commands at once, then returns their answers in order.
    pub async fn pipeline<const N: usize>(&mut self, commands: [&[&[u8]]; N]) -> Result<[Value; N], ClientError> {
        let mut bytes = Vec::new();
        for command in commands {
            resp::encode_command(&mut bytes, command);
        }
        self.connection.write(bytes).await?;
        let mut answers = [const { Value::Null }; N];
        for answer in &mut answers {
            *answer = self.answer().await?;
        }
        Ok(answers)
    }

    async fn answer(&mut self) -> Result<Value, ClientError> {
        loop {
            if let Some((value, used)) = resp::parse(&self.buffer)? {
                self.buffer.drain(..used);
                return match value {
                    Value::Error(text) => Err(ClientError::Refused(text)),
                    value => Ok(value),
                };
            }
            self.connection.read(&mut self.buffer).await?;
        }
    }
}
