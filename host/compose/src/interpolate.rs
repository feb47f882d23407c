//! `${VARIABLE}` in values, before files are merged: the forms of the specification, nested too.
//! <https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md>
use crate::place::{Error, Place, Result, Warning};
use crate::tree::{Kind, Node};

/// Forms within forms.
const DEPTH_MAX: usize = 16;

/// Values of variables, and what was found missing.
pub struct Variables<'a> {
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    pub warnings: &'a mut Vec<Warning>,
}

impl Variables<'_> {
    /// Replaces the variables in every value of the tree; keys stay as they are.
    pub fn interpolate(&mut self, node: &mut Node) -> Result<()> {
        match &mut node.kind {
            Kind::Scalar(scalar) if scalar.text.contains('$') => {
                let text = self.substitute(&scalar.text, &node.at)?;
                if text != scalar.text {
                    // An empty value is an empty text, and not the null that an empty plain scalar would be.
                    scalar.plain = scalar.plain && !text.is_empty() && text != "~" && !text.eq_ignore_ascii_case("null");
                    scalar.text = text;
                }
                Ok(())
            }
            Kind::Scalar(_) => Ok(()),
            Kind::List(list) => list.iter_mut().try_for_each(|node| self.interpolate(node)),
            Kind::Map(map) => map.entries.iter_mut().try_for_each(|entry| self.interpolate(&mut entry.value)),
        }
    }

    pub fn substitute(&mut self, text: &str, at: &Place) -> Result<String> {
        self.text(text, at, 0)
    }

    fn text(&mut self, text: &str, at: &Place, depth: usize) -> Result<String> {
        if depth > DEPTH_MAX {
            return Err(Error::at(at, format!("more than {DEPTH_MAX} variables within others")));
        }
        let mut answer = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            answer.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                answer.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing_brace(after)
                    .ok_or_else(|| Error::at(at, format!("'${{{after}' has no closing brace; write $$ for a dollar sign")))?;
                answer.push_str(&self.braced(&after[..end], at, depth)?);
                rest = &after[end + 1..];
            } else {
                let length = name_length(rest);
                match length {
                    0 => answer.push('$'),
                    _ => answer.push_str(&self.plain(&rest[..length], at)),
                }
                rest = &rest[length..];
            }
        }
        answer.push_str(rest);
        Ok(answer)
    }

    fn braced(&mut self, inner: &str, at: &Place, depth: usize) -> Result<String> {
        let length = name_length(inner);
        let (name, rest) = inner.split_at(length);
        let value = (self.lookup)(name);
        let filled = value.clone().filter(|value| !value.is_empty());
        let invalid = || {
            let message = format!("'${{{inner}}}' is no variable; write ${{NAME}} or ${{NAME:-default}}, and $$ for a dollar sign");
            Err(Error::at(at, message))
        };
        if length == 0 {
            return invalid();
        }
        let (form, word) = match rest.strip_prefix(':') {
            Some(after) => (&rest[..1 + after.chars().next().map_or(0, char::len_utf8)], after.get(1..).unwrap_or_default()),
            None => (rest.get(..1).unwrap_or_default(), rest.get(1..).unwrap_or_default()),
        };
        let mut word = || self.text(word, at, depth + 1);
        match form {
            "" if rest.is_empty() => Ok(self.plain(name, at)),
            ":-" => filled.map_or_else(word, Ok),
            "-" => value.map_or_else(word, Ok),
            ":+" if filled.is_some() => word(),
            "+" if value.is_some() => word(),
            ":+" | "+" => Ok(String::new()),
            ":?" => filled.map_or_else(|| Err(missing(name, &word()?, at)), Ok),
            "?" => value.map_or_else(|| Err(missing(name, &word()?, at)), Ok),
            _ => invalid(),
        }
    }

    fn plain(&mut self, name: &str, at: &Place) -> String {
        (self.lookup)(name).unwrap_or_else(|| {
            let message = format!("the variable {name} is not set, and stands for an empty text");
            if !self.warnings.iter().any(|warning| warning.message == message) {
                self.warnings.push(Warning::at(at, message));
            }
            String::new()
        })
    }
}

fn missing(name: &str, why: &str, at: &Place) -> Error {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    Error::at(at, format!("the variable {name} must be set{why}"))
}

/// Bytes of the name that `text` begins with.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'_').count()
}

/// Where the brace closes that was opened just before `text`.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut last = '\0';
    for (at, c) in text.char_indices() {
        match c {
            '{' if last == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        last = c;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { file: "f.yml".into(), line: 2, column: 3 }
    }

    fn substitute(text: &str) -> Result<String> {
        let lookup = |name: &str| match name {
            "FOO" => Some("first".to_owned()),
            "BAR" => Some(String::new()),
            _ => None,
        };
        Variables { lookup: &lookup, warnings: &mut Vec::new() }.substitute(text, &place())
    }

    #[test]
    fn the_specifications_forms() {
        for (text, expected) in [
            ("ok $FOO", "ok first"),
            ("ok ${FOO}!", "ok first!"),
            ("$$FOO", "$FOO"),
            ("$${FOO}", "${FOO}"),
            ("${BAR:-x}", "x"),
            ("${BAR-x}", ""),
            ("${NO:-x}", "x"),
            ("${NO-x}", "x"),
            ("${FOO:-x}", "first"),
            ("${FOO:+x}", "x"),
            ("${BAR:+x}", ""),
            ("${BAR+x}", "x"),
            ("${NO+x}", ""),
            ("${FOO?no}", "first"),
            ("${BAR?no}", ""),
            ("${NO:-${FOO}}", "first"),
            ("${NO:-${NONE:-deep}}", "deep"),
            ("${NO:-a-b:c}", "a-b:c"),
            ("${NO:-/path/${FOO}}/x", "/path/first/x"),
            ("${NO-{\"a\": 1}", "{\"a\": 1"),
            ("cost $5 and $", "cost $5 and $"),
            ("$FOO-$FOO.${FOO}", "first-first.first"),
            ("", ""),
        ] {
            assert_eq!(substitute(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_must_be_set_is_named() {
        assert_eq!(substitute("${BAR:?say $FOO}").unwrap_err().to_string(), "f.yml:2:3: the variable BAR must be set: say first");
        assert_eq!(substitute("${NO?}").unwrap_err().to_string(), "f.yml:2:3: the variable NO must be set");
        for wrong in ["${FOO", "${}", "${1}", "${FOO/a/b}", "${FOO:x}", "${FOO bar}", "${ü}", "${FOO:ü}"] {
            assert!(substitute(wrong).unwrap_err().to_string().contains("write $"), "{wrong}");
        }
        assert!(substitute(&"${A:-".repeat(50)).is_err());
        assert!(substitute(&format!("{}{}", "${A:-".repeat(50), "}".repeat(50))).unwrap_err().to_string().contains("more than 16"));
    }
}
