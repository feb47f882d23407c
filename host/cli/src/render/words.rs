//! Text that fits into a cell.

/// `text` without line ends and other control characters.
pub fn one_line(text: &str) -> String {
    text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// At most `chars_max` characters, the last of them `…` when there were more.
pub fn shortened(text: &str, chars_max: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= chars_max {
        return text;
    }
    text.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// `running` as `Running`.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_one_line() {
        assert_eq!(one_line(" a\nb\x1b[31m "), " a b [31m");
        assert_eq!(shortened("a long reason", 6), "a lon…");
        assert_eq!(shortened("short", 5), "short");
        assert_eq!(capitalised("running"), "Running");
        assert_eq!(capitalised(""), "");
    }
}
