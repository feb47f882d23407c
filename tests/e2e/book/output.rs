//! Whether what a command printed is what the book prints.
//!
//! A line `...` stands for any number of lines, `[..]` within a line for any text. What is another in each run needs no
//! such mark: blanks count as one, and ids, digests, tokens and ages are equal to one another.

/// Letters of an id.
const ID_CHARS: usize = 12;
/// A run of letters and digits that is longer than any word is a digest or a part of a token.
const LONG_CHARS: usize = 20;

pub fn matches(wanted: &[String], got: &[String], in_any_order: bool) -> bool {
    let trimmed = |lines: &[String]| {
        let lines: Vec<String> = lines.iter().map(|line| normal(line)).collect();
        let start = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(start, |last| last + 1);
        lines[start..end].to_vec()
    };
    let (wanted, got) = (trimmed(wanted), trimmed(got));
    if in_any_order { sets_match(&wanted, got) } else { lines_match(&wanted, &got) }
}

fn lines_match(wanted: &[String], got: &[String]) -> bool {
    match wanted.split_first() {
        None => got.is_empty(),
        Some((first, rest)) if first == "..." => (0..=got.len()).any(|skipped| lines_match(rest, &got[skipped..])),
        Some((first, rest)) => got.split_first().is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

/// Whether there is a line for each wanted one, and none is left.
fn sets_match(wanted: &[String], got: Vec<String>) -> bool {
    let Some((first, rest)) = wanted.split_first() else { return got.is_empty() };
    let without = |at: usize| got.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, line)| line.clone()).collect();
    (0..got.len()).any(|at| line_matches(first, &got[at]) && sets_match(rest, without(at)))
}

fn line_matches(wanted: &str, got: &str) -> bool {
    let mut parts = wanted.split("[..]");
    let Some(mut rest) = parts.next().and_then(|first| got.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The line without what differs from run to run.
fn normal(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        if word.starts_with("ago") {
            drop_age(&mut words);
        }
        words.push(word_without_ids(word));
    }
    words.join(" ")
}

/// Takes `3 seconds`, `less than a second` or `about a minute` from the end.
fn drop_age(words: &mut Vec<String>) {
    const WORDS: &[&str] =
        &["a", "an", "about", "less", "than", "second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks"];
    let is_age = |word: &String| WORDS.contains(&word.to_lowercase().as_str()) || word.parse::<u64>().is_ok();
    while words.pop_if(|word| is_age(word)).is_some() {}
}

fn word_without_ids(word: &str) -> String {
    let mut normal = String::new();
    let mut run = String::new();
    for c in word.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() {
            run.push(c);
            continue;
        }
        let is_id = run.len() == ID_CHARS && run.chars().all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
        normal.push_str(if is_id || run.len() >= LONG_CHARS { "ID" } else { &run });
        run.clear();
        if c != '\0' {
            normal.push(c);
        }
    }
    normal
}

#[cfg(test)]
fn said(wanted: &str, got: &str) -> bool {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    matches(&lines(wanted), &lines(got), false)
}

#[test]
fn equal_lines_match_and_others_do_not() {
    assert!(said("a  b\nc", "a b\nc\n\n"));
    for (wanted, got) in [("a", "b"), ("a\nb", "a"), ("a", "a\nb"), ("a b", "ab"), ("", "a"), ("a\n\nb", "a\nb")] {
        assert!(!said(wanted, got), "{wanted} {got}");
    }
}

#[test]
fn marks_stand_for_what_differs() {
    assert!(said("...\nlast", "first\nlast") && said("a\n...", "a") && said("a\n...\nb\n...", "a\nx\nb\nb\n"));
    assert!(!said("...\nlast", "last\nfirst") && !said("a\n...\nb", "a\nx"));
    assert!(said("rng: [..] % busy, [..] waiting", "rng: 100 % busy, 7 waiting"));
    assert!(said("[..]", "x") && said("a[..]", "a") && said("[..]b[..]b", "abbb"));
    assert!(!said("a [..] b", "a x c") && !said("a[..]a", "a"));
}

#[test]
fn ids_digests_tokens_and_ages_are_equal() {
    assert!(said("k3v9x0q1m2n4  web.1  Running 3 seconds ago", "000000000001 web.1 Running less than a second ago"));
    assert!(said("About a minute ago (healthy)", "12 seconds ago (healthy)"));
    assert!(said(&format!("sha256:{} 3 KiB", "a1".repeat(32)), &format!("sha256:{} 3 KiB", "b2".repeat(32))));
    assert!(!said("sha256:a1 3 KiB", "sha256:b2 3 KiB") && !said("3 tasks", "4 tasks"));
}

#[test]
fn lines_of_several_tasks_match_in_any_order() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let said = |wanted: &str, got: &str| matches(&lines(wanted), &lines(got), true);
    assert!(said("a | [..]\nb | [..]\n", "b | x\na | y\n") && said("[..]\nb", "b\na"));
    for got in ["a | x", "a | x\na | y", "a | x\nb | y\nb | z", ""] {
        assert!(!said("a | [..]\nb | [..]\n", got), "{got}");
    }
}
