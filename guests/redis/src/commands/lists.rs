//! Lists.

use crate::command::{Call, Outcome};
use crate::error::{CommandError, NOT_POSITIVE};
use crate::reply::Reply;
use crate::value::List;

#[derive(Debug, Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// `LPUSH key element [element ...]`
pub fn lpush(call: &mut Call) -> Outcome {
    push(call, Side::Left)
}

/// `RPUSH key element [element ...]`
pub fn rpush(call: &mut Call) -> Outcome {
    push(call, Side::Right)
}

fn push(call: &mut Call, side: Side) -> Outcome {
    let list = call.keys.write_or_create::<List>(call.arg(1))?;
    for element in &call.args[2..] {
        match side {
            Side::Left => list.push_front(element.clone()),
            Side::Right => list.push_back(element.clone()),
        }
    }
    let length = list.len();
    call.changed();
    Ok(Reply::count(length))
}

/// `LPOP key [count]`
pub fn lpop(call: &mut Call) -> Outcome {
    pop(call, Side::Left)
}

/// `RPOP key [count]`
pub fn rpop(call: &mut Call) -> Outcome {
    pop(call, Side::Right)
}

fn pop(call: &mut Call, side: Side) -> Outcome {
    let count = match call.rest(2) {
        [] => None,
        [_] => Some(usize::try_from(call.integer(2)?).map_err(|_| NOT_POSITIVE)?),
        _ => return Err(call.arity_error()),
    };
    let key = call.arg(1);
    let Some(list) = call.keys.write::<List>(key)? else {
        return Ok(if count.is_some() { Reply::NullArray } else { Reply::Null });
    };
    let take = || match side {
        Side::Left => list.pop_front(),
        Side::Right => list.pop_back(),
    };
    let taken: Vec<Reply> = std::iter::from_fn(take).take(count.unwrap_or(1)).map(Reply::Bulk).collect();
    call.keys.remove_if_empty(key);
    call.changed_if(!taken.is_empty());
    match count {
        Some(_) => Ok(Reply::Array(taken)),
        None => Ok(taken.into_iter().next().unwrap_or(Reply::Null)),
    }
}

fn list<'a>(call: &'a Call) -> Result<Option<&'a List>, CommandError> {
    call.keys.read::<List>(call.arg(1))
}

/// `LLEN key`
pub fn llen(call: &mut Call) -> Outcome {
    Ok(Reply::count(list(call)?.map_or(0, List::len)))
}

/// `LRANGE key start stop`
pub fn lrange(call: &mut Call) -> Outcome {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = list(call)? else { return Ok(Reply::Array(Vec::new())) };
    Ok(Reply::bulks(list.range(span(start, stop, list.len()))))
}

/// The positions from `start` to `stop`, both included, counted from the end when negative.
pub fn span(start: i64, stop: i64, length: usize) -> std::ops::Range<usize> {
    let length_i64 = i64::try_from(length).unwrap_or(i64::MAX);
    let from_end = |at: i64| if at < 0 { at.saturating_add(length_i64) } else { at };
    let start = usize::try_from(from_end(start).max(0)).unwrap_or(usize::MAX);
    let end = usize::try_from(from_end(stop).saturating_add(1).max(0)).unwrap_or(usize::MAX).min(length);
    start.min(end)..end
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_cut_to_what_is_there() {
        assert_eq!(span(0, -1, 3), 0..3);
        assert_eq!(span(-2, -1, 3), 1..3);
        assert_eq!(span(-100, 100, 3), 0..3);
        assert_eq!(span(1, 1, 3), 1..2);
        assert!(span(2, 1, 3).is_empty() && span(5, 9, 3).is_empty() && span(0, -9, 3).is_empty());
        assert_eq!(span(i64::MIN, i64::MAX, 3), 0..3);
    }
}
