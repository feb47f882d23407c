//! Commands about the connection itself.

use crate::command::{Outcome, ServerCall};
use crate::error::{CommandError, DB_OUT_OF_RANGE, NOT_AN_INTEGER, SYNTAX};
use crate::limits::DATABASES;
use crate::number::parse_integer;
use crate::reply::{Protocol, Reply};
use crate::session::{ClientId, End, Session};

/// The version whose behaviour this server follows.
pub const VERSION: &str = "7.4.0";

/// `PING [message]`
pub fn ping(call: &mut ServerCall) -> Outcome {
    call.expect_words(1..=2, "ping")?;
    let message = call.args.get(1);
    if call.session().only_listens() {
        let message = message.map_or(&b""[..], Vec::as_slice);
        return Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::bulk(message)]));
    }
    Ok(message.map_or(Reply::Simple("PONG"), Reply::bulk))
}

/// `ECHO message`
pub fn echo(call: &mut ServerCall) -> Outcome {
    Ok(Reply::bulk(call.arg(1)))
}

/// `QUIT`
pub fn quit(call: &mut ServerCall) -> Outcome {
    call.session().end = Some(End::Flush);
    Ok(Reply::Ok)
}

/// `RESET`
pub fn reset(call: &mut ServerCall) -> Outcome {
    let session = call.session();
    let fresh = Session::new(session.id, session.peer.clone(), session.local.clone(), session.connected_at_ms);
    let output = std::mem::take(&mut session.output);
    *session = Session { output, ..fresh };
    Ok(Reply::Simple("RESET"))
}

/// `SELECT index`
pub fn select(call: &mut ServerCall) -> Outcome {
    let index = parse_integer(call.arg(1)).ok_or(NOT_AN_INTEGER)?;
    let index = usize::try_from(index).ok().filter(|index| *index < DATABASES);
    call.session().database = index.ok_or(DB_OUT_OF_RANGE)?;
    Ok(Reply::Ok)
}

/// `AUTH [username] password`: there is one user, without a password.
pub fn auth(call: &mut ServerCall) -> Outcome {
    match &call.args[1..] {
        [_] => Err(CommandError::fixed(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        )),
        [user, _] if user == b"default" => Ok(Reply::Ok),
        [_, _] => Err(CommandError::fixed("WRONGPASS invalid username-password pair or user is disabled.")),
        _ => Err(SYNTAX),
    }
}

/// `HELLO [protover [AUTH username password] [SETNAME name]]`
pub fn hello(call: &mut ServerCall) -> Outcome {
    let protocol = match call.args.get(1).map(|version| parse_integer(version)) {
        None => None,
        Some(None) => {
            let text = "ERR Protocol version is not an integer or out of range";
            return Err(CommandError::fixed(text));
        }
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return Err(CommandError::fixed("NOPROTO unsupported protocol version")),
    };
    let name = hello_options(call.args.get(2..).unwrap_or_default())?;
    let session = call.session();
    session.protocol = protocol.unwrap_or(session.protocol);
    if let Some(name) = name {
        session.name = name;
    }
    Ok(greeting(session))
}

/// Checks the options; returns the name to set.
fn hello_options(words: &[Vec<u8>]) -> Result<Option<Vec<u8>>, CommandError> {
    let mut name = None;
    let mut rest = words;
    while let [option, after @ ..] = rest {
        rest = match (option.to_ascii_uppercase().as_slice(), after) {
            (b"AUTH", [user, _, after @ ..]) if user == b"default" => after,
            (b"AUTH", [_, _, ..]) => {
                let text = "WRONGPASS invalid username-password pair or user is disabled.";
                return Err(CommandError::fixed(text));
            }
            (b"SETNAME", [value, after @ ..]) => {
                name = Some(checked_name(value)?);
                after
            }
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(CommandError::new(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        };
    }
    Ok(name)
}

fn greeting(session: &Session) -> Reply {
    let protocol = if session.protocol == Protocol::Resp3 { 3 } else { 2 };
    let pair = |name: &str, value: Reply| (Reply::bulk(name), value);
    Reply::Map(vec![
        pair("server", Reply::bulk("redis")),
        pair("version", Reply::bulk(VERSION)),
        pair("proto", Reply::Integer(protocol)),
        pair("id", Reply::Integer(session.id.0.cast_signed())),
        pair("mode", Reply::bulk("standalone")),
        pair("role", Reply::bulk("master")),
        pair("modules", Reply::Array(Vec::new())),
    ])
}

/// Names go into `CLIENT LIST`, whose fields are parted by spaces.
fn checked_name(name: &[u8]) -> Result<Vec<u8>, CommandError> {
    if name.iter().all(u8::is_ascii_graphic) {
        Ok(name.to_vec())
    } else {
        Err(CommandError::fixed("ERR Client names cannot contain spaces, newlines or special characters."))
    }
}

/// `CLIENT ID | GETNAME | SETNAME | SETINFO | LIST | INFO | KILL | NO-EVICT | NO-TOUCH`
pub fn client(call: &mut ServerCall) -> Outcome {
    match call.arg(1).to_ascii_lowercase().as_slice() {
        b"id" => {
            call.expect_words(2..=2, "client|id")?;
            Ok(Reply::Integer(call.client.0.cast_signed()))
        }
        b"getname" => {
            call.expect_words(2..=2, "client|getname")?;
            let name = &call.session().name;
            Ok(if name.is_empty() { Reply::Null } else { Reply::bulk(name) })
        }
        b"setname" => {
            call.expect_words(3..=3, "client|setname")?;
            call.session().name = checked_name(call.arg(2))?;
            Ok(Reply::Ok)
        }
        b"setinfo" => set_info(call),
        b"info" => {
            call.expect_words(2..=2, "client|info")?;
            let now_ms = call.now_ms;
            Ok(Reply::Verbatim(describe(call.session(), now_ms)))
        }
        b"list" => list(call),
        b"kill" => kill(call),
        b"no-evict" | b"no-touch" => {
            call.expect_words(3..=3, "client|no-evict")?;
            if call.is(2, "on") || call.is(2, "off") { Ok(Reply::Ok) } else { Err(SYNTAX) }
        }
        _ => Err(CommandError::unknown_subcommand("client", call.arg(1))),
    }
}

fn set_info(call: &mut ServerCall) -> Outcome {
    call.expect_words(4..=4, "client|setinfo")?;
    let (attribute, value) = (call.arg(2), call.arg(3));
    let printable = value.iter().all(u8::is_ascii_graphic);
    let field = match attribute.to_ascii_lowercase().as_slice() {
        b"lib-name" => &mut call.session().library,
        b"lib-ver" => &mut call.session().library_version,
        _ => {
            let attribute = String::from_utf8_lossy(attribute);
            return Err(CommandError::new(format!("ERR Unrecognized option '{attribute}'")));
        }
    };
    if !printable {
        let attribute = String::from_utf8_lossy(attribute);
        let text = format!("ERR {attribute} cannot contain spaces, newlines or special characters.");
        return Err(CommandError::new(text));
    }
    *field = value.to_vec();
    Ok(Reply::Ok)
}

fn list(call: &mut ServerCall) -> Outcome {
    let ids: Vec<&[u8]> = match &call.args[2..] {
        [] => Vec::new(),
        [option, _] if option.eq_ignore_ascii_case(b"type") => Vec::new(),
        [option, ids @ ..] if option.eq_ignore_ascii_case(b"id") && !ids.is_empty() => ids.iter().map(Vec::as_slice).collect(),
        _ => return Err(SYNTAX),
    };
    let wanted = |session: &&Session| ids.is_empty() || ids.contains(&session.id.0.to_string().as_bytes());
    let sessions = call.engine.sessions.values().filter(wanted);
    Ok(Reply::Verbatim(sessions.map(|session| describe(session, call.now_ms)).collect()))
}

/// `CLIENT KILL addr` or `CLIENT KILL ID id|ADDR addr`
fn kill(call: &mut ServerCall) -> Outcome {
    let is_target = |session: &Session| match &call.args[2..] {
        [address] => session.peer.as_bytes() == address.as_slice(),
        [by, id] if by.eq_ignore_ascii_case(b"id") => session.id.0.to_string().as_bytes() == id.as_slice(),
        [by, address] if by.eq_ignore_ascii_case(b"addr") => session.peer.as_bytes() == address.as_slice(),
        _ => false,
    };
    let targets: Vec<ClientId> = call.engine.sessions.values().filter(|session| is_target(session)).map(|session| session.id).collect();
    for target in &targets {
        if *target == call.client {
            call.session().end = Some(End::Flush);
        } else {
            call.engine.kill(*target);
        }
    }
    match call.args.len() {
        3 if targets.is_empty() => Err(CommandError::fixed("ERR No such client")),
        3 => Ok(Reply::Ok),
        4 => Ok(Reply::count(targets.len())),
        _ => Err(SYNTAX),
    }
}

/// One line of `CLIENT LIST`.
fn describe(session: &Session, now_ms: u64) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds = |since_ms: u64| now_ms.saturating_sub(since_ms) / 1000;
    format!(
        "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={} db={} sub={} psub={} multi={} omem={} cmd={} user=default resp={} lib-name={} lib-ver={}\n",
        session.id.0,
        session.peer,
        session.local,
        text(&session.name),
        seconds(session.connected_at_ms),
        seconds(session.active_at_ms),
        if session.subscriptions() > 0 { "P" } else { "N" },
        session.database,
        session.channels.len(),
        session.patterns.len(),
        session.transaction.as_ref().map_or(-1, |transaction| transaction.queue.len().cast_signed()),
        session.output.len(),
        session.last_command,
        if session.protocol == Protocol::Resp3 { 3 } else { 2 },
        text(&session.library),
        text(&session.library_version),
    )
}
