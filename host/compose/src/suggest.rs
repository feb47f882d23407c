//! The word that was meant, when one is wrong by a letter or two.

/// The nearest of `known`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 3);
    let measured = known.into_iter().map(|other| (distance(word, other), other));
    measured.filter(|(distance, _)| *distance <= most).min().map(|(_, other)| other)
}

/// `; did you mean 'ports'?`, or nothing.
pub fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |meant| format!("; did you mean '{meant}'?"))
}

/// Letters to add, drop, change or swap (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    /// Words that are longer are no slips of a key.
    const CHARS_MAX: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().max(b.len()) > CHARS_MAX {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_and_other_words_are_not() {
        let known = ["image", "ports", "networks", "environment", "env_file", "command"];
        assert_eq!(nearest("port", known), Some("ports"));
        assert_eq!(nearest("imgae", known), Some("image"));
        assert_eq!(nearest("enviroment", known), Some("environment"));
        assert_eq!(nearest("Command", known), Some("command"));
        assert_eq!(nearest("sidecar", known), None);
    }
}
