//! Strings, apart from `SET` and from counting.

use crate::command::{Call, Outcome};
use crate::error::STRING_TOO_LONG;
use crate::limits::BULK_BYTES_MAX;
use crate::reply::Reply;
use crate::value::{Text, Value};

/// `GET key`
pub fn get(call: &mut Call) -> Outcome {
    Ok(Reply::optional(call.keys.read::<Text>(call.arg(1))?))
}

/// `MGET key [key ...]`: what is no string is null.
pub fn mget(call: &mut Call) -> Outcome {
    let values = call.rest(1).iter().map(|key| Reply::optional(call.keys.read::<Text>(key).ok().flatten()));
    Ok(Reply::Array(values.collect()))
}

/// `MSET key value [key value ...]`
pub fn mset(call: &mut Call) -> Outcome {
    let (pairs, rest) = call.rest(1).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(call.arity_error());
    }
    for [key, value] in pairs {
        call.keys.insert(key, Value::Text(value.clone()));
    }
    call.changed();
    Ok(Reply::Ok)
}

/// `GETDEL key`
pub fn getdel(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let Some(value) = call.keys.read::<Text>(key)? else { return Ok(Reply::Null) };
    let reply = Reply::bulk(value);
    call.keys.remove(key);
    call.changed_as(&[b"DEL", key]);
    Ok(reply)
}

/// `APPEND key value`
pub fn append(call: &mut Call) -> Outcome {
    let (key, value) = (call.arg(1), call.arg(2));
    let length = call.keys.read::<Text>(key)?.map_or(0, Vec::len);
    if length + value.len() > BULK_BYTES_MAX {
        return Err(STRING_TOO_LONG);
    }
    let text = call.keys.write_or_create::<Text>(key)?;
    text.extend_from_slice(value);
    let length = text.len();
    call.changed();
    Ok(Reply::count(length))
}

/// `STRLEN key`
pub fn strlen(call: &mut Call) -> Outcome {
    Ok(Reply::count(call.keys.read::<Text>(call.arg(1))?.map_or(0, Vec::len)))
}
