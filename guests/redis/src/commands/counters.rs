//! Strings as numbers.

use crate::command::{Call, Outcome};
use crate::error::{DECREMENT_OVERFLOW, NAN_OR_INFINITY, NOT_A_FLOAT, NOT_AN_INTEGER, OVERFLOW};
use crate::number::{add_decimals, parse_float, parse_integer};
use crate::reply::Reply;
use crate::value::{Text, Value};

/// `INCR key`
pub fn incr(call: &mut Call) -> Outcome {
    add(call, 1)
}

/// `DECR key`
pub fn decr(call: &mut Call) -> Outcome {
    add(call, -1)
}

/// `INCRBY key increment`
pub fn incrby(call: &mut Call) -> Outcome {
    let increment = call.integer(2)?;
    add(call, increment)
}

/// `DECRBY key decrement`
pub fn decrby(call: &mut Call) -> Outcome {
    let increment = call.integer(2)?.checked_neg().ok_or(DECREMENT_OVERFLOW)?;
    add(call, increment)
}

fn add(call: &mut Call, increment: i64) -> Outcome {
    let key = call.arg(1);
    let old = match call.keys.read::<Text>(key)? {
        Some(text) => parse_integer(text).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(OVERFLOW)?;
    call.keys.replace(key, Value::Text(sum.to_string().into_bytes()));
    call.changed();
    Ok(Reply::Integer(sum))
}

/// `INCRBYFLOAT key increment`: logged as its result, so that reading it back rounds nothing.
pub fn incrbyfloat(call: &mut Call) -> Outcome {
    let (key, increment) = (call.arg(1), call.arg(2));
    let old = call.keys.read::<Text>(key)?.map_or(&b"0"[..], Vec::as_slice);
    if parse_float(old).is_none() || parse_float(increment).is_none() {
        return Err(NOT_A_FLOAT);
    }
    let sum = add_decimals(old, increment).ok_or(NAN_OR_INFINITY)?;
    call.keys.replace(key, Value::Text(sum.clone().into_bytes()));
    call.changed_as(&[b"SET", key, sum.as_bytes(), b"KEEPTTL"]);
    Ok(Reply::bulk(sum))
}
