//! `ZADD` with all its options, and `ZINCRBY`.

use crate::command::{Call, Outcome};
use crate::error::{CommandError, NOT_A_FLOAT, SYNTAX};
use crate::number::parse_float;
use crate::reply::Reply;
use crate::zset::SortedSet;

const NOT_A_NUMBER: CommandError = CommandError::fixed("ERR resulting score is not a number (NaN)");

#[derive(Debug, Default)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    changed: bool,
    increment: bool,
}

impl Options {
    /// Returns the options and what follows them.
    fn parse(words: &[Vec<u8>]) -> Result<(Self, &[Vec<u8>]), CommandError> {
        let mut options = Self::default();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            match word.to_ascii_uppercase().as_slice() {
                b"NX" => options.nx = true,
                b"XX" => options.xx = true,
                b"GT" => options.gt = true,
                b"LT" => options.lt = true,
                b"CH" => options.changed = true,
                b"INCR" => options.increment = true,
                _ => break,
            }
            rest = after;
        }
        options.check(rest)?;
        Ok((options, rest))
    }

    fn check(&self, rest: &[Vec<u8>]) -> Result<(), CommandError> {
        if rest.is_empty() || !rest.len().is_multiple_of(2) {
            return Err(SYNTAX);
        }
        if self.nx && self.xx {
            return Err(CommandError::fixed("ERR XX and NX options at the same time are not compatible"));
        }
        if self.gt && self.lt || self.nx && (self.gt || self.lt) {
            return Err(CommandError::fixed("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.increment && rest.len() > 2 {
            return Err(CommandError::fixed("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score to set, or `None` when the options forbid a change.
    fn decide(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, CommandError> {
        let new = if self.increment { old.unwrap_or(0.0) + given } else { given };
        if new.is_nan() {
            return Err(NOT_A_NUMBER);
        }
        let allowed = match old {
            None => !self.xx,
            Some(old) => !(self.nx || self.gt && new <= old || self.lt && new >= old),
        };
        Ok(allowed.then_some(new))
    }
}

/// `ZADD key [NX|XX] [GT|LT] [CH] [INCR] score member [score member ...]`
pub fn zadd(call: &mut Call) -> Outcome {
    let (options, rest) = Options::parse(call.rest(2))?;
    let (pairs, _) = rest.as_chunks::<2>();
    let scores: Option<Vec<f64>> = pairs.iter().map(|[score, _]| parse_float(score)).collect();
    let scores = scores.ok_or(NOT_A_FLOAT)?;
    let members = pairs.iter().map(|[_, member]| member.as_slice());
    apply(call, &options, members.zip(scores))
}

/// `ZINCRBY key increment member`
pub fn zincrby(call: &mut Call) -> Outcome {
    let options = Options { increment: true, ..Options::default() };
    let increment = call.float(2)?;
    apply(call, &options, std::iter::once((call.arg(3), increment)))
}

fn apply<'a>(call: &mut Call, options: &Options, members: impl Iterator<Item = (&'a [u8], f64)>) -> Outcome {
    let key = call.arg(1);
    let (mut added, mut updated, mut last) = (0, 0, None);
    let set = call.keys.write_or_create::<SortedSet>(key)?;
    let mut outcome = Ok(());
    for (member, given) in members {
        let old = set.score(member);
        match options.decide(old, given) {
            Ok(new) => {
                last = new;
                let Some(new) = new else { continue };
                set.insert(member, new);
                added += usize::from(old.is_none());
                updated += usize::from(old.is_some_and(|old| old != new));
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    // With XX the key may have been made for nothing.
    call.keys.remove_if_empty(key);
    call.changed_if(added + updated > 0);
    outcome?;
    Ok(match options {
        Options { increment: true, .. } => last.map_or(Reply::Null, Reply::Double),
        Options { changed: true, .. } => Reply::count(added + updated),
        _ => Reply::count(added),
    })
}
