//! `.env` and `env_file`: `NAME=value` on each line, with quotes, comments, `export` and variables in values.
use crate::interpolate::Variables;
use crate::place::{Error, Place, Result, Warning};

/// The variables of a file in its order; one without `=` is taken from `lookup`, and left out where that has none.
pub fn parse(file: &str, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<Vec<(String, String)>> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |at| at + 1);
        let (this, after) = rest.split_at(end);
        let at = Place { file: file.into(), line, column: 1 };
        let mut taken = this;
        let statement = this.trim();
        let statement = statement.strip_prefix("export ").map_or(statement, str::trim_start);
        if !statement.is_empty() && !statement.starts_with('#') {
            match statement.split_once('=') {
                None => {
                    let name = named(statement, &at)?;
                    variables.extend(lookup(name).map(|value| (name.to_owned(), value)));
                }
                Some((name, _)) => {
                    let name = named(name.trim_end(), &at)?;
                    let from = this.find('=').map_or(this.len(), |at| at + 1);
                    let (value, length) = value(&rest[from..], &at)?;
                    let value = match value {
                        Value::Literal(text) => text,
                        Value::Template(text) => {
                            let known = |name: &str| {
                                let earlier = || variables.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.clone());
                                lookup(name).or_else(earlier)
                            };
                            let mut warnings: Vec<Warning> = Vec::new();
                            Variables { lookup: &known, warnings: &mut warnings }.substitute(&text, &at)?
                        }
                    };
                    variables.push((name.to_owned(), value));
                    taken = &rest[..(from + length).max(this.len()).min(rest.len())];
                }
            }
        }
        line += taken.matches('\n').count().max(usize::from(taken.len() == this.len() && this.ends_with('\n')));
        rest = if taken.len() > this.len() { &rest[taken.len()..] } else { after };
    }
    Ok(variables)
}

enum Value {
    /// In single quotes: as it is.
    Literal(String),
    Template(String),
}

fn named<'a>(name: &'a str, at: &Place) -> Result<&'a str> {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-[]".contains(c);
    if name.is_empty() || !name.chars().all(good) {
        let shown: String = name.chars().take(40).collect();
        return Err(Error::at(at, format!("'{shown}' is no name of a variable; write NAME=value")));
    }
    Ok(name)
}

/// The value at the beginning of `text`, and the bytes up to the end of its last line.
fn value(text: &str, at: &Place) -> Result<(Value, usize)> {
    let blanks = text.len() - text.trim_start_matches([' ', '\t']).len();
    let inner = &text[blanks..];
    let line_end = |from: usize| text[from..].find('\n').map_or(text.len(), |end| from + end + 1);
    if let Some(quoted) = inner.strip_prefix('\'') {
        let end = quoted.find('\'').ok_or_else(|| Error::at(at, "the quote ' is not closed"))?;
        return Ok((Value::Literal(quoted[..end].to_owned()), line_end(blanks + 1 + end)));
    }
    if let Some(quoted) = inner.strip_prefix('"') {
        let (text, end) = unescaped(quoted).ok_or_else(|| Error::at(at, "the quote \" is not closed"))?;
        return Ok((Value::Template(text), line_end(blanks + 1 + end)));
    }
    let line = inner.split('\n').next().unwrap_or_default();
    let comment = line.find(" #").or_else(|| line.find("\t#")).or_else(|| line.starts_with('#').then_some(0));
    let value = line[..comment.unwrap_or(line.len())].trim_end();
    Ok((Value::Template(value.to_owned()), line_end(blanks)))
}

/// A text in double quotes, and where its quote is.
fn unescaped(quoted: &str) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((text, at)),
            '\\' => match chars.next()?.1 {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                // Not a variable, so twice for the interpolation that follows.
                '$' => text.push_str("$$"),
                c @ ('"' | '\\') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(".env", text, &|name| (name == "HERE").then(|| "outside".to_owned())).unwrap()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lines_are_read_as_composes_own() {
        let text = "# comment\n\nA=1\nexport B = two words # and a comment\nC='$A # as is'\nD=\"x\\ty $A\"\nE=\nF=${A}-${NO:-z}\nHERE\nGONE\nG=a#b\n";
        let expected = [("A", "1"), ("B", "two words"), ("C", "$A # as is"), ("D", "x\ty 1"), ("E", ""), ("F", "1-z")];
        let expected = [&expected[..], &[("HERE", "outside"), ("G", "a#b")]].concat();
        assert_eq!(read(text), pairs(&expected));
        assert_eq!(read("A=1\r\nB=\"2\"\r\n"), pairs(&[("A", "1"), ("B", "2")]));
    }

    #[test]
    fn quotes_hold_several_lines() {
        assert_eq!(read("A=\"one\ntwo\" # x\nB='three\nfour'\nC=5"), pairs(&[("A", "one\ntwo"), ("B", "three\nfour"), ("C", "5")]));
    }

    #[test]
    fn mistakes_have_a_line() {
        let refused = |text| parse(".env", text, &|_| None).unwrap_err().to_string();
        assert_eq!(refused("A=1\nB\u{e9}=2"), ".env:2:1: 'B\u{e9}' is no name of a variable; write NAME=value");
        assert_eq!(refused("A=\"one\ntwo\"\nB='x"), ".env:3:1: the quote ' is not closed");
    }
}
