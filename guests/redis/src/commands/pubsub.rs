//! Publish and subscribe.

use crate::command::{Outcome, ServerCall};
use crate::error::CommandError;
use crate::glob;
use crate::reply::Reply;
use crate::session::{ClientId, Session};
use std::collections::BTreeSet;

/// Which of a session's two sets of subscriptions.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Channel,
    Pattern,
}

impl Kind {
    fn of(self, session: &mut Session) -> &mut BTreeSet<Vec<u8>> {
        match self {
            Self::Channel => &mut session.channels,
            Self::Pattern => &mut session.patterns,
        }
    }

    fn subscribed(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
        }
    }

    fn unsubscribed(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
        }
    }
}

/// `SUBSCRIBE channel [channel ...]`
pub fn subscribe(call: &mut ServerCall) -> Outcome {
    add(call, Kind::Channel)
}

/// `PSUBSCRIBE pattern [pattern ...]`
pub fn psubscribe(call: &mut ServerCall) -> Outcome {
    add(call, Kind::Pattern)
}

/// `UNSUBSCRIBE [channel ...]`
pub fn unsubscribe(call: &mut ServerCall) -> Outcome {
    remove(call, Kind::Channel)
}

/// `PUNSUBSCRIBE [pattern ...]`
pub fn punsubscribe(call: &mut ServerCall) -> Outcome {
    remove(call, Kind::Pattern)
}

fn add(call: &mut ServerCall, kind: Kind) -> Outcome {
    let names = &call.args[1..];
    let session = call.session();
    let confirm = |name: &Vec<u8>| {
        kind.of(session).insert(name.clone());
        confirmation(kind.subscribed(), Some(name), session)
    };
    Ok(Reply::Many(names.iter().map(confirm).collect()))
}

fn remove(call: &mut ServerCall, kind: Kind) -> Outcome {
    let named = call.args[1..].to_vec();
    let session = call.session();
    let names = if named.is_empty() { kind.of(session).iter().cloned().collect() } else { named };
    if names.is_empty() {
        return Ok(confirmation(kind.unsubscribed(), None, session));
    }
    let confirm = |name: Vec<u8>| {
        kind.of(session).remove(&name);
        confirmation(kind.unsubscribed(), Some(&name), session)
    };
    Ok(Reply::Many(names.into_iter().map(confirm).collect()))
}

fn confirmation(what: &str, name: Option<&Vec<u8>>, session: &Session) -> Reply {
    Reply::Push(vec![Reply::bulk(what), Reply::optional(name), Reply::count(session.subscriptions())])
}

/// `PUBLISH channel message`: how many messages went out.
pub fn publish(call: &mut ServerCall) -> Outcome {
    let (channel, message) = (call.arg(1), call.arg(2));
    let mut deliveries: Vec<(ClientId, Reply)> = Vec::new();
    for session in call.engine.sessions.values() {
        if session.channels.contains(channel) {
            let push = vec![Reply::bulk("message"), Reply::bulk(channel), Reply::bulk(message)];
            deliveries.push((session.id, Reply::Push(push)));
        }
        for pattern in session.patterns.iter().filter(|pattern| glob::matches(pattern, channel)) {
            let push = [b"pmessage".as_slice(), pattern, channel, message].map(Reply::bulk);
            deliveries.push((session.id, Reply::Push(push.to_vec())));
        }
    }
    for (client, push) in &deliveries {
        call.engine.push(*client, push);
    }
    Ok(Reply::count(deliveries.len()))
}

/// `PUBSUB CHANNELS [pattern] | NUMSUB [channel ...] | NUMPAT`
pub fn pubsub(call: &mut ServerCall) -> Outcome {
    let sessions = call.engine.sessions.values();
    if call.is(1, "channels") {
        call.expect_words(2..=3, "pubsub|channels")?;
        let wanted = |channel: &Vec<u8>| call.args.get(2).is_none_or(|pattern| glob::matches(pattern, channel));
        let channels: BTreeSet<&Vec<u8>> = sessions.flat_map(|session| &session.channels).collect();
        return Ok(Reply::bulks(channels.into_iter().filter(|channel| wanted(channel))));
    }
    if call.is(1, "numsub") {
        let count = |channel: &Vec<u8>| {
            let sessions = call.engine.sessions.values();
            Reply::count(sessions.filter(|session| session.channels.contains(channel)).count())
        };
        let pairs = call.args[2..].iter().flat_map(|channel| [Reply::bulk(channel), count(channel)]);
        return Ok(Reply::Array(pairs.collect()));
    }
    if call.is(1, "numpat") {
        call.expect_words(2..=2, "pubsub|numpat")?;
        let patterns: BTreeSet<&Vec<u8>> = sessions.flat_map(|session| &session.patterns).collect();
        return Ok(Reply::count(patterns.len()));
    }
    Err(CommandError::unknown_subcommand("pubsub", call.arg(1)))
}
