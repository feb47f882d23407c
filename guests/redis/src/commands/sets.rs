//! Sets.

use crate::command::{Call, Outcome};
use crate::error::{CommandError, NOT_POSITIVE};
use crate::reply::Reply;
use crate::value::Set;

fn set<'a>(call: &'a Call) -> Result<Option<&'a Set>, CommandError> {
    call.keys.read::<Set>(call.arg(1))
}

/// `SADD key member [member ...]`
pub fn sadd(call: &mut Call) -> Outcome {
    let set = call.keys.write_or_create::<Set>(call.arg(1))?;
    let added = call.args[2..].iter().filter(|member| set.insert((*member).clone())).count();
    call.changed_if(added > 0);
    Ok(Reply::count(added))
}

/// `SREM key member [member ...]`
pub fn srem(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let Some(set) = call.keys.write::<Set>(key)? else { return Ok(Reply::Integer(0)) };
    let removed = call.args[2..].iter().filter(|member| set.remove(*member)).count();
    call.keys.remove_if_empty(key);
    call.changed_if(removed > 0);
    Ok(Reply::count(removed))
}

/// `SMEMBERS key`
pub fn smembers(call: &mut Call) -> Outcome {
    Ok(Reply::Set(set(call)?.into_iter().flatten().map(Reply::bulk).collect()))
}

/// `SISMEMBER key member`
pub fn sismember(call: &mut Call) -> Outcome {
    Ok(Reply::flag(set(call)?.is_some_and(|set| set.contains(call.arg(2)))))
}

/// `SCARD key`
pub fn scard(call: &mut Call) -> Outcome {
    Ok(Reply::count(set(call)?.map_or(0, Set::len)))
}

/// `SPOP key [count]`: members in no particular order, logged by name.
pub fn spop(call: &mut Call) -> Outcome {
    let count = match call.rest(2) {
        [] => None,
        [_] => Some(usize::try_from(call.integer(2)?).map_err(|_| NOT_POSITIVE)?),
        _ => return Err(call.arity_error()),
    };
    let key = call.arg(1);
    let Some(set) = call.keys.write::<Set>(key)? else {
        return Ok(if count.is_some() { Reply::Set(Vec::new()) } else { Reply::Null });
    };
    let members: Vec<Vec<u8>> = set.iter().take(count.unwrap_or(1)).cloned().collect();
    for member in &members {
        set.remove(member);
    }
    // A sparse table would make each further look for a first member slower.
    if set.capacity() > 64 && set.len() < set.capacity() / 8 {
        set.shrink_to_fit();
    }
    call.keys.remove_if_empty(key);
    if !members.is_empty() {
        let words: Vec<&[u8]> = [b"SREM", key].into_iter().chain(members.iter().map(Vec::as_slice)).collect();
        call.changed_as(&words);
    }
    let mut members = members.into_iter().map(Reply::Bulk);
    Ok(match count {
        Some(_) => Reply::Set(members.collect()),
        None => members.next().unwrap_or(Reply::Null),
    })
}
