//! `ls` commands: `-q`, `--format` and `--filter`, the same for every kind of row.
use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::{Format, print_json, table};
use crate::output::say;

/// A kind of row that an `ls` shows.
pub trait Listed: Serialize {
    const COLUMNS: &'static [&'static str];
    /// Keys that `--filter` takes.
    const FILTERS: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
    /// What `-q` prints.
    fn handle(&self) -> String;
    /// Whether `value` fits this row, for one of [`Listed::FILTERS`].
    fn fits(&self, key: &str, value: &str) -> bool;
}

/// `KEY=VALUE` of a `--filter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub key: String,
    pub value: String,
}

pub fn filter(text: &str) -> Result<Filter, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Filter { key: key.to_owned(), value: value.to_owned() }),
        _ => Err(format!("'{text}' is no filter; write KEY=VALUE, for example name=web")),
    }
}

/// Whether a row fits: one of the values given for each key.
pub fn passes(filters: &[Filter], fits: impl Fn(&str, &str) -> bool) -> bool {
    filters.iter().all(|filter| filters.iter().any(|other| other.key == filter.key && fits(&other.key, &other.value)))
}

/// Refuses a filter that the command does not know.
pub fn check(filters: &[Filter], known: &[&str]) -> anyhow::Result<()> {
    match filters.iter().find(|filter| !known.contains(&filter.key.as_str())) {
        Some(filter) => bail!("--filter {}={}: there is no such filter here; use one of {}", filter.key, filter.value, known.join(", ")),
        None => Ok(()),
    }
}

#[derive(Args, Debug)]
pub struct Listing {
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Show only what fits, for example name=web
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Listing {
    pub fn print<T: Listed>(&self, mut rows: Vec<T>) -> anyhow::Result<()> {
        check(&self.filter, T::FILTERS)?;
        rows.retain(|row| passes(&self.filter, |key, value| row.fits(key, value)));
        if self.quiet {
            return rows.iter().try_for_each(|row| {
                say!("{}", row.handle());
                Ok(())
            });
        }
        match self.format {
            Format::Json => print_json(&rows)?,
            Format::Table => say!("{}", table(T::COLUMNS, rows.iter().map(T::cells).collect())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_key_are_alternatives() {
        let filters: Vec<Filter> = ["name=a", "name=b", "mode=x"].iter().map(|text| filter(text).unwrap()).collect();
        let row = |name: &'static str, mode: &'static str| {
            move |key: &str, value: &str| if key == "name" { name == value } else { mode == value }
        };
        assert!(passes(&filters, row("a", "x")));
        assert!(passes(&filters, row("b", "x")));
        assert!(!passes(&filters, row("c", "x")));
        assert!(!passes(&filters, row("a", "y")));
        assert!(passes(&[], row("a", "y")));
    }

    #[test]
    fn unknown_filters_are_refused() {
        let unknown = [filter("colour=red").unwrap()];
        assert_eq!(
            check(&unknown, &["id", "name"]).unwrap_err().to_string(),
            "--filter colour=red: there is no such filter here; use one of id, name"
        );
        assert!(filter("name").unwrap_err().contains("for example name=web"));
    }
}
