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
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePlaceholderError {
    #[error(
        "'{{{{{0}}}}}' is no placeholder; use .Service.Name, .Service.ID, .Service.Labels.NAME, .Node.ID, .Node.Hostname, .Task.ID, .Task.Name or .Task.Slot"
    )]
    Unknown(String),
    #[error("'{{{{' in '{0}' is never closed; write placeholders as {{{{.Task.Slot}}}}")]
    Open(String),
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const LABEL: &str = ".Service.Labels.";

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

/// Whether there may be a placeholder in the text.
pub fn has_placeholder(text: &str) -> bool {
    text.contains(OPEN)
}

/// The text with its placeholders replaced by what is known; `None` leaves one as it is.
pub fn expand(text: &str, mut known: impl FnMut(&Placeholder) -> Option<String>) -> Result<String, ParsePlaceholderError> {
    let (mut expanded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (inside, behind) = after.split_once(CLOSE).ok_or_else(|| ParsePlaceholderError::Open(text.to_owned()))?;
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
