//! Sorted sets, apart from `ZADD` and `ZRANGE`.

use crate::command::{Call, Outcome};
use crate::error::{CommandError, NOT_POSITIVE};
use crate::reply::Reply;
use crate::zset::SortedSet;

fn sorted_set<'a>(call: &'a Call) -> Result<Option<&'a SortedSet>, CommandError> {
    call.keys.read::<SortedSet>(call.arg(1))
}

/// `ZCARD key`
pub fn zcard(call: &mut Call) -> Outcome {
    Ok(Reply::count(sorted_set(call)?.map_or(0, SortedSet::len)))
}

/// `ZSCORE key member`
pub fn zscore(call: &mut Call) -> Outcome {
    let score = sorted_set(call)?.and_then(|set| set.score(call.arg(2)));
    Ok(score.map_or(Reply::Null, Reply::Double))
}

/// `ZREM key member [member ...]`
pub fn zrem(call: &mut Call) -> Outcome {
    let key = call.arg(1);
    let Some(set) = call.keys.write::<SortedSet>(key)? else { return Ok(Reply::Integer(0)) };
    let removed = call.args[2..].iter().filter(|member| set.remove(member)).count();
    call.keys.remove_if_empty(key);
    call.changed_if(removed > 0);
    Ok(Reply::count(removed))
}

/// `ZPOPMIN key [count]`
pub fn zpopmin(call: &mut Call) -> Outcome {
    pop(call, SortedSet::pop_first)
}

/// `ZPOPMAX key [count]`
pub fn zpopmax(call: &mut Call) -> Outcome {
    pop(call, SortedSet::pop_last)
}

type Pop = fn(&mut SortedSet) -> Option<(Vec<u8>, f64)>;

fn pop(call: &mut Call, pop: Pop) -> Outcome {
    let count = match call.rest(2) {
        [] => None,
        [_] => Some(usize::try_from(call.integer(2)?).map_err(|_| NOT_POSITIVE)?),
        _ => return Err(call.arity_error()),
    };
    let key = call.arg(1);
    let Some(set) = call.keys.write::<SortedSet>(key)? else { return Ok(Reply::Array(Vec::new())) };
    let popped = std::iter::from_fn(|| pop(set)).take(count.unwrap_or(1));
    let pairs: Vec<_> = popped.map(|(member, score)| (Reply::Bulk(member), Reply::Double(score))).collect();
    call.keys.remove_if_empty(key);
    call.changed_if(!pairs.is_empty());
    match count {
        Some(_) => Ok(Reply::Pairs(pairs)),
        // One member is a flat pair in both protocols.
        None => Ok(Reply::Array(pairs.into_iter().flat_map(|(member, score)| [member, score]).collect())),
    }
}
