//! A tree as YAML, as `compose config` prints it: what is printed can be read again, and means the same.
use crate::tree::{Kind, Node, Scalar};

/// The text of a tree, in blocks of two blanks.
pub fn yaml(node: &Node) -> String {
    let mut text = String::new();
    match &node.kind {
        Kind::Scalar(scalar) => text.push_str(&self::scalar(scalar)),
        _ => block(node, 0, &mut text),
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn block(node: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.kind {
        Kind::Scalar(scalar) => text.push_str(&self::scalar(scalar)),
        Kind::List(list) => {
            for item in list {
                text.push_str(&format!("{indent}-"));
                match &item.kind {
                    Kind::Map(map) if !map.entries.is_empty() => {
                        let mut inner = String::new();
                        block(item, depth + 1, &mut inner);
                        // The first entry stands behind the dash.
                        text.push(' ');
                        text.push_str(inner.trim_start());
                    }
                    _ => value(item, depth, text),
                }
            }
        }
        Kind::Map(map) => {
            for entry in &map.entries {
                text.push_str(&format!("{indent}{}:", word(&entry.key)));
                value(&entry.value, depth, text);
            }
        }
    }
}

/// What stands behind a `:` or a `-`.
fn value(node: &Node, depth: usize, text: &mut String) {
    match &node.kind {
        Kind::List(list) if list.is_empty() => text.push_str(" []\n"),
        Kind::Map(map) if map.entries.is_empty() => text.push_str(" {}\n"),
        Kind::Scalar(scalar) => text.push_str(&format!(" {}\n", self::scalar(scalar))),
        _ => {
            text.push('\n');
            block(node, depth + 1, text);
        }
    }
}

/// A value; a dollar sign of it stands twice, because values are interpolated when they are read. Names never are.
fn scalar(scalar: &Scalar) -> String {
    if scalar.is_null() {
        return "null".to_owned();
    }
    let text = scalar.text.replace('$', "$$");
    // A number or truth value that a variable brought is one; other text of a variable may need quotes.
    if scalar.plain && typed(&text) { text } else { word(&text) }
}

/// Text that is read again as the same text.
fn word(text: &str) -> String {
    let plain_start = text.starts_with(|c: char| c.is_ascii_alphanumeric() || "/._$".contains(c));
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || " /._-:=@+,$(){}~%".contains(c));
    let ambiguous = text.contains(": ") || text.ends_with([':', ' ']) || typed(text);
    if plain && plain_start && !ambiguous {
        return text.to_owned();
    }
    serde_json::to_string(text).unwrap_or_else(|_| format!("{text:?}"))
}

/// Whether YAML has more than text in it where it stands without quotes.
fn typed(text: &str) -> bool {
    text.parse::<f64>().is_ok() || reserved(text)
}

fn reserved(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", ".nan", ".inf"].contains(&text.as_str())
        || text.starts_with("0x")
        || text.starts_with("0o")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn what_came_from_variables_is_read_again_as_the_same() {
        let mut tree = parse("f", "a: $A\nb: x$$y\n$$c: ${D}\n").unwrap();
        let lookup = |name: &str| Some(if name == "A" { "one: # two" } else { "-5" }.to_owned());
        crate::interpolate::Variables { lookup: &lookup, warnings: &mut Vec::new() }.interpolate(&mut tree).unwrap();
        let printed = yaml(&tree);
        assert_eq!(printed, "a: \"one: # two\"\nb: x$$y\n$$c: -5\n");
    }

    #[test]
    fn what_is_printed_is_read_again_as_the_same() {
        let text = "a: {b: [1, \"2\", null, 'yes', \"x: y\", \"two\\nlines\", [], {}], c: \"#\"}\n\"k e y\": [{x: 1, y: [z]}, [q]]\n";
        let once = parse("f", text).unwrap();
        let printed = yaml(&once);
        assert_eq!(yaml(&parse("f", &printed).unwrap()), printed);
        assert!(printed.contains("- \"2\"\n") && printed.contains("- null\n") && printed.contains("- \"yes\"\n"), "{printed}");
    }
}
