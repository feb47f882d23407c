//! Hashes.

use crate::command::{Call, Outcome};
use crate::error::{CommandError, HASH_NOT_A_FLOAT, HASH_NOT_AN_INTEGER, NAN_OR_INFINITY, NOT_A_FLOAT, OVERFLOW};
use crate::number::{add_decimals, parse_float, parse_integer};
use crate::reply::Reply;
use crate::value::Hash;

fn hash<'a>(call: &'a Call) -> Result<Option<&'a Hash>, CommandError> {
    call.keys.read::<Hash>(call.arg(1))
}

/// `HSET key field value [field value ...]`: how many fields are new.
pub fn hset(call: &mut Call) -> Outcome {
    set_fields(call).map(Reply::count)
}

/// `HMSET key field value [field value ...]`
pub fn hmset(call: &mut Call) -> Outcome {
    set_fields(call).map(|_| Reply::Ok)
}

fn set_fields(call: &mut Call) -> Result<usize, CommandError> {
    let (pairs, rest) = call.rest(2).as_chunks::<2>();
    if !rest.is_empty() {
        return Err(call.arity_error());
    }
    let hash = call.keys.write_or_create::<Hash>(call.arg(1))?;
    let mut added = 0;
    for [field, value] in pairs {
        added += usize::from(hash.insert(field.clone(), value.clone()).is_none());
    }
    call.changed();
    Ok(added)
}

/// `HSETNX key field value`
pub fn hsetnx(call: &mut Call) -> Outcome {
    let (field, value) = (call.arg(2), call.arg(3));
    if hash(call)?.is_some_and(|hash| hash.contains_key(field)) {
        return Ok(Reply::Integer(0));
    }
    call.keys.write_or_create::<Hash>(call.arg(1))?.insert(field.to_vec(), value.to_vec());
    call.changed();
    Ok(Reply::Integer(1))
}

/// `HGET key field`
pub fn hget(call: &mut Call) -> Outcome {
    Ok(Reply::optional(hash(call)?.and_then(|hash| hash.get(call.arg(2)))))
}

/// `HMGET key field [field ...]`
pub fn hmget(call: &mut Call) -> Outcome {
    let hash = hash(call)?;
    let values = call.rest(2).iter().map(|field| Reply::optional(hash.and_then(|hash| hash.get(field))));
    Ok(Reply::Array(values.collect()))
}

/// `HGETALL key`
pub fn hgetall(call: &mut Call) -> Outcome {
    let pairs = hash(call)?.into_iter().flatten();
    Ok(Reply::Map(pairs.map(|(field, value)| (Reply::bulk(field), Reply::bulk(value))).collect()))
}

/// `HDEL key field [field ...]`
pub fn hdel(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let Some(hash) = call.keys.write::<Hash>(key)? else { return Ok(Reply::Integer(0)) };
    let removed = call.args[2..].iter().filter(|field| hash.remove(*field).is_some()).count();
    call.keys.remove_if_empty(key);
    call.changed_if(removed > 0);
    Ok(Reply::count(removed))
}

/// `HLEN key`
pub fn hlen(call: &mut Call) -> Outcome {
    Ok(Reply::count(hash(call)?.map_or(0, Hash::len)))
}

/// `HEXISTS key field`
pub fn hexists(call: &mut Call) -> Outcome {
    Ok(Reply::flag(hash(call)?.is_some_and(|hash| hash.contains_key(call.arg(2)))))
}

/// `HKEYS key`
pub fn hkeys(call: &mut Call) -> Outcome {
    Ok(Reply::bulks(hash(call)?.into_iter().flat_map(Hash::keys)))
}

/// `HVALS key`
pub fn hvals(call: &mut Call) -> Outcome {
    Ok(Reply::bulks(hash(call)?.into_iter().flat_map(Hash::values)))
}

/// `HINCRBY key field increment`
pub fn hincrby(call: &mut Call) -> Outcome {
    let increment = call.integer(3)?;
    let field = call.arg(2);
    let old = match hash(call)?.and_then(|hash| hash.get(field)) {
        Some(value) => parse_integer(value).ok_or(HASH_NOT_AN_INTEGER)?,
        None => 0,
    };
    let sum = old.checked_add(increment).ok_or(OVERFLOW)?;
    let hash = call.keys.write_or_create::<Hash>(call.arg(1))?;
    hash.insert(field.to_vec(), sum.to_string().into_bytes());
    call.changed();
    Ok(Reply::Integer(sum))
}

/// `HINCRBYFLOAT key field increment`: logged as its result.
pub fn hincrbyfloat(call: &mut Call) -> Outcome {
    let (key, field, increment) = (call.arg(1), call.arg(2), call.arg(3));
    parse_float(increment).ok_or(NOT_A_FLOAT)?;
    let old = hash(call)?.and_then(|hash| hash.get(field)).map_or(&b"0"[..], Vec::as_slice);
    parse_float(old).ok_or(HASH_NOT_A_FLOAT)?;
    let sum = add_decimals(old, increment).ok_or(NAN_OR_INFINITY)?;
    let hash = call.keys.write_or_create::<Hash>(key)?;
    hash.insert(field.to_vec(), sum.clone().into_bytes());
    call.changed_as(&[b"HSET", key, field, sum.as_bytes()]);
    Ok(Reply::bulk(sum))
}
