//! What commands print: tables in Docker's layout, and JSON.
mod list;
mod shown;
mod words;

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::output::say;

pub use list::{Filter, Listed, Listing, check, filter, passes};
pub use shown::{ago, bytes, cores, duration, iso_time, milliseconds_now, ports};
pub use words::{capitalised, one_line, shortened};

/// Blanks between two columns.
const COLUMN_GAP: u16 = 3;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    Table,
    Json,
}

/// Rows below their headings, each column as wide as it must be.
pub fn table(columns: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns);
    for row in rows {
        table.add_row(row.iter().map(|cell| one_line(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, COLUMN_GAP));
    }
    table.trim_fmt()
}

/// A table of lines that are at most `width` characters long: while they are longer, the columns named in `least` go, one
/// after the other.
pub fn fitted(columns: &[&str], mut rows: Vec<Vec<String>>, least: impl IntoIterator<Item = &'static str>, width: usize) -> String {
    let mut columns = columns.to_vec();
    let mut least = least.into_iter();
    loop {
        let text = table(&columns, rows.clone());
        let fits = text.lines().all(|line| line.chars().count() <= width);
        let Some(name) = least.next().filter(|_| !fits) else { return text };
        if let Some(at) = columns.iter().position(|column| *column == name) {
            columns.remove(at);
            rows.iter_mut().for_each(|row| drop(row.remove(at)));
        }
    }
}

/// Prints `value` as JSON that people can read too.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A name and its value on each line, the values below one another. Empty values are left out.
pub fn facts(facts: &[(&str, String)]) -> String {
    let shown = facts.iter().filter(|(_, value)| !value.is_empty());
    let width = shown.clone().map(|(name, _)| name.len() + 1).max().unwrap_or(0);
    let lines: Vec<String> = shown.map(|(name, value)| format!("{:width$}  {}", format!("{name}:"), one_line(value))).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows =
            vec![vec!["1".to_owned(), "ünïcode".to_owned(), String::new()], vec!["22".to_owned(), "b\nc".to_owned(), "d".to_owned()]];
        assert_eq!(table(&["ID", "NAME", "ERROR"], rows), "ID   NAME      ERROR\n1    ünïcode\n22   b c       d");
        assert_eq!(table(&["ID", "NAME"], Vec::new()), "ID   NAME");
    }

    #[test]
    fn the_least_columns_go_where_there_is_no_room() {
        let text = |width| {
            let rows = vec![vec!["1".to_owned(), "web".to_owned(), "12 MiB / 1 GiB".to_owned(), "9".to_owned()]];
            fitted(&["ID", "NAME", "MEMORY", "UP"], rows, ["UP", "MEMORY"], width)
        };
        assert_eq!(text(35).lines().next(), Some("ID   NAME   MEMORY           UP"));
        assert_eq!(text(31).lines().next(), Some("ID   NAME   MEMORY           UP"));
        assert_eq!(text(30), "ID   NAME   MEMORY\n1    web    12 MiB / 1 GiB");
        assert_eq!(text(25), "ID   NAME\n1    web");
        assert_eq!(text(2), "ID   NAME\n1    web", "what is no one's to drop stays");
    }

    #[test]
    fn facts_stand_below_one_another() {
        let text = facts(&[("ID", "n1".to_owned()), ("Hostname", "a".to_owned()), ("Empty", String::new())]);
        assert_eq!(text, "ID:        n1\nHostname:  a");
    }
}
