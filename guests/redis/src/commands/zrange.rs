//! `ZRANGE` by rank, by score and by member.

use crate::command::{Call, Outcome};
use crate::commands::lists::span;
use crate::error::{CommandError, NOT_AN_INTEGER, SYNTAX};
use crate::number::{parse_float, parse_integer};
use crate::reply::Reply;
use crate::zset::SortedSet;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum By {
    #[default]
    Rank,
    Score,
    Member,
}

#[derive(Debug, Default)]
struct Options {
    by: By,
    reverse: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

impl Options {
    fn parse(words: &[Vec<u8>]) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = after;
            match word.to_ascii_uppercase().as_slice() {
                b"BYSCORE" => options.by = By::Score,
                b"BYLEX" => options.by = By::Member,
                b"REV" => options.reverse = true,
                b"WITHSCORES" => options.with_scores = true,
                b"LIMIT" => {
                    let [offset, count, after @ ..] = rest else { return Err(SYNTAX) };
                    let number = |word: &[u8]| parse_integer(word).ok_or(NOT_AN_INTEGER);
                    options.limit = Some((number(offset)?, number(count)?));
                    rest = after;
                }
                _ => return Err(SYNTAX),
            }
        }
        if options.limit.is_some() && options.by == By::Rank {
            return Err(CommandError::fixed("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"));
        }
        if options.with_scores && options.by == By::Member {
            return Err(CommandError::fixed("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        Ok(options)
    }
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
enum Bound<T> {
    Lowest,
    Highest,
    Including(T),
    Excluding(T),
}

impl<T: PartialOrd> Bound<T> {
    /// Whether a value lies above this lower end.
    fn admits_above(&self, value: &T) -> bool {
        match self {
            Self::Lowest => true,
            Self::Highest => false,
            Self::Including(end) => value >= end,
            Self::Excluding(end) => value > end,
        }
    }

    /// Whether a value lies below this upper end.
    fn admits_below(&self, value: &T) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Including(end) => value <= end,
            Self::Excluding(end) => value < end,
        }
    }
}

fn score_bound(word: &[u8]) -> Result<Bound<f64>, CommandError> {
    let invalid = CommandError::fixed("ERR min or max is not a float");
    let bound = match word.strip_prefix(b"(") {
        Some(score) => parse_float(score).map(Bound::Excluding),
        None => parse_float(word).map(Bound::Including),
    };
    bound.ok_or(invalid)
}

fn member_bound(word: &[u8]) -> Result<Bound<&[u8]>, CommandError> {
    match word {
        b"-" => Ok(Bound::Lowest),
        b"+" => Ok(Bound::Highest),
        [b'[', member @ ..] => Ok(Bound::Including(member)),
        [b'(', member @ ..] => Ok(Bound::Excluding(member)),
        _ => Err(CommandError::fixed("ERR min or max not valid string range item")),
    }
}

/// `ZRANGE key start stop [BYSCORE|BYLEX] [REV] [LIMIT offset count] [WITHSCORES]`
pub fn zrange(call: &mut Call) -> Outcome {
    let options = Options::parse(call.rest(4))?;
    let (start, stop) = (call.arg(2), call.arg(3));
    let (low, high) = if options.reverse { (stop, start) } else { (start, stop) };
    let empty = SortedSet::default();
    let ranks = match options.by {
        By::Rank => Some((call.integer(2)?, call.integer(3)?)),
        _ => None,
    };
    let set = call.keys.read::<SortedSet>(call.arg(1))?.unwrap_or(&empty);
    let found: Vec<(&[u8], f64)> = match options.by {
        By::Rank => {
            let (start, stop) = ranks.unwrap_or((0, -1));
            let span = span(start, stop, set.len());
            directed(set, &options).skip(span.start).take(span.len()).collect()
        }
        By::Score => {
            let (low, high) = (score_bound(low)?, score_bound(high)?);
            let inside = |score: &f64| low.admits_above(score) && high.admits_below(score);
            limited(directed(set, &options).filter(|(_, score)| inside(score)), &options)
        }
        By::Member => {
            let (low, high) = (member_bound(low)?, member_bound(high)?);
            let inside = |member: &&[u8]| low.admits_above(member) && high.admits_below(member);
            limited(directed(set, &options).filter(|(member, _)| inside(member)), &options)
        }
    };
    Ok(reply(&found, options.with_scores))
}

fn directed<'a>(set: &'a SortedSet, options: &Options) -> Box<dyn Iterator<Item = (&'a [u8], f64)> + 'a> {
    if options.reverse { Box::new(set.iter().rev()) } else { Box::new(set.iter()) }
}

/// Cuts to `LIMIT`: a negative offset finds nothing, a negative count means all.
fn limited<'a>(found: impl Iterator<Item = (&'a [u8], f64)>, options: &Options) -> Vec<(&'a [u8], f64)> {
    let (offset, count) = options.limit.unwrap_or((0, -1));
    let Ok(offset) = usize::try_from(offset) else { return Vec::new() };
    found.skip(offset).take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
}

fn reply(found: &[(&[u8], f64)], with_scores: bool) -> Reply {
    if with_scores {
        let pair = |(member, score): &(&[u8], f64)| (Reply::bulk(member), Reply::Double(*score));
        Reply::Pairs(found.iter().map(pair).collect())
    } else {
        Reply::bulks(found.iter().map(|(member, _)| member))
    }
}
