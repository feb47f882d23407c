//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`.

use crate::command::{self, Outcome, ServerCall};
use crate::error::CommandError;
use crate::reply::Reply;
use crate::session::{Transaction, Watched};

/// `MULTI`
pub fn multi(call: &mut ServerCall) -> Outcome {
    let session = call.session();
    if session.transaction.is_some() {
        return Err(CommandError::fixed("ERR MULTI calls can not be nested"));
    }
    session.transaction = Some(Transaction::default());
    Ok(Reply::Ok)
}

/// `DISCARD`
pub fn discard(call: &mut ServerCall) -> Outcome {
    let session = call.session();
    let missing = CommandError::fixed("ERR DISCARD without MULTI");
    session.transaction.take().ok_or(missing)?;
    session.watched.clear();
    Ok(Reply::Ok)
}

/// `EXEC`
pub fn exec(call: &mut ServerCall) -> Outcome {
    let session = call.session();
    let missing = CommandError::fixed("ERR EXEC without MULTI");
    let transaction = session.transaction.take().ok_or(missing)?;
    let watched = std::mem::take(&mut session.watched);
    if transaction.broken {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return Err(CommandError::fixed(text));
    }
    let databases = &call.engine.databases;
    let unchanged = |seen: &Watched| databases[seen.database].stamp(&seen.key) == seen.stamp;
    if !watched.iter().all(unchanged) {
        return Ok(Reply::NullArray);
    }
    Ok(Reply::Array(run(call, transaction)))
}

/// Runs the queue; the file gets it as one transaction, so that a crash tears none apart.
fn run(call: &mut ServerCall, transaction: Transaction) -> Vec<Reply> {
    call.engine.journal.begin();
    let replies = transaction.queue.iter().map(|request| match command::find(&request[0]) {
        Some(spec) => call.engine.run(call.client, spec, request, call.now_ms),
        None => Reply::Error(CommandError::unknown_command(request)),
    });
    let replies = replies.collect();
    call.engine.journal.commit();
    replies
}

/// `WATCH key [key ...]`
pub fn watch(call: &mut ServerCall) -> Outcome {
    if call.session().transaction.is_some() {
        return Err(CommandError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    let database = call.session().database;
    for key in &call.args[1..] {
        let stamp = call.engine.databases[database].stamp(key);
        call.session().watched.push(Watched { database, key: key.clone(), stamp });
    }
    Ok(Reply::Ok)
}

/// `UNWATCH`
pub fn unwatch(call: &mut ServerCall) -> Outcome {
    call.session().watched.clear();
    Ok(Reply::Ok)
}
