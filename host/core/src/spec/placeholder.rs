//! Placeholders in the texts of a template: `{{.Task.Slot}}` in a hostname, a variable or the name of a volume.
//!
//! A task gets its own template: what is known of it is put in when it is created, the node when it is assigned.
use std::fmt;

/// What stands between the braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placeholder {
    ServiceName,
    ServiceId,
    ServiceLabel(String),
    NodeId,
    NodeHostname,
    TaskId,
    TaskName,
    TaskSlot,
    /// `{{"{{"}}` is `{{`: a text in quotes stands for itself, as Go's templates have it.
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePlaceholderError {
    #[error(
        "'{{{{{0}}}}}' is no placeholder; use .Service.Name, .Service.ID, .Service.Labels.NAME, .Node.ID, .Node.Hostname, .Task.ID, .Task.Name or .Task.Slot, and {{{{\"{{{{\"}}}} for the braces themselves"
    )]
    Unknown(String),
    #[error("'{{{{' in '{0}' is never closed; write placeholders as {{{{.Task.Slot}}}}")]
    Open(String),
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const LABEL: &str = ".Service.Labels.";
/// Around a text that stands for itself; one is not in the other.
const QUOTES: [char; 2] = ['"', '`'];

impl Placeholder {
    fn parse(text: &str) -> Result<Placeholder, ParsePlaceholderError> {
        Ok(match text.trim() {
            ".Service.Name" => Placeholder::ServiceName,
            ".Service.ID" => Placeholder::ServiceId,
            ".Node.ID" => Placeholder::NodeId,
            ".Node.Hostname" => Placeholder::NodeHostname,
            ".Task.ID" => Placeholder::TaskId,
            ".Task.Name" => Placeholder::TaskName,
            ".Task.Slot" => Placeholder::TaskSlot,
            other if QUOTES.iter().any(|quote| is_quoted(other, *quote)) => Placeholder::Text(other[1..other.len() - 1].to_owned()),
            other => match other.strip_prefix(LABEL) {
                Some(label) if !label.is_empty() => Placeholder::ServiceLabel(label.to_owned()),
                _ => return Err(ParsePlaceholderError::Unknown(text.to_owned())),
            },
        })
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OPEN)?;
        match self {
            Placeholder::Text(text) => {
                let quote = QUOTES.iter().find(|quote| !text.contains(**quote)).unwrap_or(&QUOTES[0]);
                write!(f, "{quote}{text}{quote}")?;
            }
            Placeholder::ServiceName => f.write_str(".Service.Name")?,
            Placeholder::ServiceId => f.write_str(".Service.ID")?,
            Placeholder::ServiceLabel(label) => write!(f, "{LABEL}{label}")?,
            Placeholder::NodeId => f.write_str(".Node.ID")?,
            Placeholder::NodeHostname => f.write_str(".Node.Hostname")?,
            Placeholder::TaskId => f.write_str(".Task.ID")?,
            Placeholder::TaskName => f.write_str(".Task.Name")?,
            Placeholder::TaskSlot => f.write_str(".Task.Slot")?,
        }
        f.write_str(CLOSE)
    }
}

/// Backslashes would mean something in Go's quotes, and are not read here.
fn is_quoted(text: &str, quote: char) -> bool {
    let within = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    let refused: &[char] = if quote == '"' { &['"', '\\'] } else { &['`'] };
    within.is_some_and(|within| !within.contains(refused))
}

/// Whether there may be a placeholder in the text.
pub fn has_placeholder(text: &str) -> bool {
    text.contains(OPEN)
}

/// What stands between the braces that were just opened, and the text behind them. Braces within quotes close nothing.
fn inside(after: &str) -> Option<(&str, &str)> {
    let trimmed = after.trim_start();
    let skipped = match trimmed.chars().next().filter(|first| QUOTES.contains(first)) {
        Some(quote) => after.len() - trimmed.len() + 1 + trimmed[1..].find(quote)? + 1,
        None => 0,
    };
    let close = skipped + after[skipped..].find(CLOSE)?;
    Some((&after[..close], &after[close + CLOSE.len()..]))
}

/// The text with its placeholders replaced by what is known; `None` leaves one as it is.
pub fn expand(text: &str, mut known: impl FnMut(&Placeholder) -> Option<String>) -> Result<String, ParsePlaceholderError> {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (inside, behind) = inside(after).ok_or_else(|| ParsePlaceholderError::Open(text.to_owned()))?;
        let placeholder = Placeholder::parse(inside)?;
        expanded.push_str(before);
        expanded.push_str(&known(&placeholder).unwrap_or_else(|| placeholder.to_string()));
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_put_in_and_the_rest_stays() {
        let known = |placeholder: &Placeholder| match placeholder {
            Placeholder::TaskSlot => Some("3".to_owned()),
            Placeholder::ServiceLabel(label) => Some(label.to_uppercase()),
            _ => None,
        };
        let expanded = expand("{{.Task.Slot}}-{{ .Service.Labels.a.b }}-{{ .Node.ID }}}}", known).unwrap();
        assert_eq!(expanded, "3-A.B-{{.Node.ID}}}}");
        assert_eq!(expand("plain } text", known).unwrap(), "plain } text");
    }

    #[test]
    fn a_text_in_quotes_stands_for_itself_once_all_is_known() {
        let text = r#"{{"{{"}}.x}} {{ `"}}"` }}"#;
        assert_eq!(expand(text, |_| None).unwrap(), r#"{{"{{"}}.x}} {{`"}}"`}}"#);
        let last = |placeholder: &Placeholder| match placeholder {
            Placeholder::Text(text) => Some(text.clone()),
            _ => None,
        };
        assert_eq!(expand(text, last).unwrap(), r#"{{.x}} "}}""#);
        for wrong in [r#"{{"a}}"#, r#"{{"a"b}}"#, r#"{{"\n"}}"#, r#"{{""#] {
            assert!(expand(wrong, last).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_placeholder_reads_back() {
        let all = ".Service.Name .Service.ID .Service.Labels.x .Node.ID .Node.Hostname .Task.ID .Task.Name .Task.Slot";
        for name in all.split(' ') {
            let text = format!("{OPEN}{name}{CLOSE}");
            assert_eq!(expand(&text, |_| None).unwrap(), text);
        }
    }

    #[test]
    fn what_is_none_says_what_is() {
        let error = |text| expand(text, |_| None).unwrap_err().to_string();
        assert!(error("{{.Task.Slots}}").starts_with("'{{.Task.Slots}}' is no placeholder; use .Service.Name"));
        assert!(error("{{.Service.Labels.}}").contains("no placeholder"));
        assert_eq!(error("a {{.Task.Slot}"), "'{{' in 'a {{.Task.Slot}' is never closed; write placeholders as {{.Task.Slot}}");
    }
}
