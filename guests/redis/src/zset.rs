//! Sorted sets: members with scores, ordered by score, then by member.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// A score with a total order; it is never NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        // -0 and 0 are one score.
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Members with their scores. Access by rank walks from the nearer end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SortedSet {
    scores: HashMap<Rc<[u8]>, f64>,
    order: BTreeSet<(Score, Rc<[u8]>)>,
}

impl SortedSet {
    pub fn len(&self) -> usize {
        self.scores.len()
    }

    /// What its table may need at once to take in so many members more.
    pub fn growth(&self, members: usize) -> usize {
        let capacity = self.scores.capacity();
        if self.len() + members > capacity { 3 * capacity * size_of::<(Rc<[u8]>, f64)>() } else { 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.scores.is_empty()
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Sets a member's score; returns the one before.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        debug_assert!(!score.is_nan());
        if let Some((member, old)) = self.scores.get_key_value(member) {
            let (member, old) = (Rc::clone(member), *old);
            self.order.remove(&(Score(old), Rc::clone(&member)));
            self.order.insert((Score(score), Rc::clone(&member)));
            self.scores.insert(member, score);
            return Some(old);
        }
        let member: Rc<[u8]> = Rc::from(member);
        self.order.insert((Score(score), Rc::clone(&member)));
        self.scores.insert(member, score);
        None
    }

    pub fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_entry(member) else { return false };
        self.order.remove(&(Score(score), member))
    }

    pub fn pop_first(&mut self) -> Option<(Vec<u8>, f64)> {
        let (Score(score), member) = self.order.pop_first()?;
        self.scores.remove(&member);
        Some((member.to_vec(), score))
    }

    pub fn pop_last(&mut self) -> Option<(Vec<u8>, f64)> {
        let (Score(score), member) = self.order.pop_last()?;
        self.scores.remove(&member);
        Some((member.to_vec(), score))
    }

    /// All members in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], f64)> {
        self.order.iter().map(|(Score(score), member)| (&**member, *score))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_follows_scores_then_members() {
        let mut set = SortedSet::default();
        for (member, score) in [("b", 2.0), ("c", 1.0), ("a", 2.0), ("d", f64::NEG_INFINITY)] {
            assert_eq!(set.insert(member.as_bytes(), score), None);
        }
        assert_eq!(set.insert(b"c", 3.0), Some(1.0));
        let members: Vec<&[u8]> = set.iter().map(|(member, _)| member).collect();
        assert_eq!(members, [b"d", b"a", b"b", b"c"]);
        assert!(set.remove(b"a") && !set.remove(b"a"));
        assert_eq!(set.pop_first(), Some((b"d".to_vec(), f64::NEG_INFINITY)));
        assert_eq!(set.pop_last(), Some((b"c".to_vec(), 3.0)));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn zero_has_no_sign() {
        let mut set = SortedSet::default();
        set.insert(b"a", -0.0);
        set.insert(b"a", 0.0);
        assert_eq!(set.iter().count(), 1);
    }
}
