//! Which of several equal backends gets a connection.
//!
//! Pure: `net` counts the open connections of its own node and keeps the rotation, one per service and network.

/// The candidate with the fewest open connections; among equals the first at or after `rotation`, in rotation.
///
/// `open[i]` is what the caller has open to candidate `i`, in a stable order. `rotation` starts at 0 and is moved
/// past the one picked. `None` when there are no candidates. Fewest-with-rotation, because ties at random or ties
/// to the first leave a single-request backend idle while another queues (see the test).
pub fn pick(open: &[usize], rotation: &mut usize) -> Option<usize> {
    let fewest = *open.iter().min()?;
    let count = open.len();
    let start = *rotation % count;
    let picked = (start..start + count).map(|at| at % count).find(|at| open[*at] == fewest)?;
    *rotation = (picked + 1) % count;
    Some(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewest_open_wins_and_ties_rotate() {
        let mut rotation = 0;
        assert_eq!(pick(&[], &mut rotation), None);
        let picked: Vec<_> = (0..4).filter_map(|_| pick(&[1, 1, 1], &mut rotation)).collect();
        assert_eq!(picked, [0, 1, 2, 0]);
        assert_eq!(pick(&[3, 1, 2], &mut rotation), Some(1));
        assert_eq!(pick(&[0, 5, 0], &mut rotation), Some(2));
        rotation = usize::MAX;
        assert!(pick(&[0, 0], &mut rotation).is_some());
    }
}
