//! Long lists in pages: `n` and `last` of a request, and the `Link` to what follows. Pure.

use crate::query;

/// Entries of one page when none, or more, are asked for.
const ENTRIES_MAX: usize = 10_000;

/// One page of a list, and the header that leads to the next.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<String>,
    pub link: Option<String>,
}

/// The page that `request` asks for. `sorted`: everything, in order. `path`: where the list is.
pub fn page(sorted: Vec<String>, request: &str, path: &str) -> Result<Page, String> {
    let wanted = match query::value(request, "n") {
        Some(n) => n.parse::<usize>().map_err(|_| format!("n={n} is no number"))?.min(ENTRIES_MAX),
        None => ENTRIES_MAX,
    };
    let last = query::value(request, "last");
    let mut entries: Vec<String> = match last {
        Some(last) => sorted.into_iter().filter(|entry| *entry > last).collect(),
        None => sorted,
    };
    let more = entries.len() > wanted;
    entries.truncate(wanted);
    let link = match entries.last() {
        Some(last) if more => Some(format!("<{path}?n={wanted}&last={}>; rel=\"next\"", query::encode(last))),
        _ => None,
    };
    Ok(Page { entries, link })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &str) -> Page {
        let sorted = ["a/b", "c", "d", "e"].map(str::to_owned).to_vec();
        page(sorted, query, "/v2/_catalog").unwrap()
    }

    #[test]
    fn pages_lead_through_the_whole_list() {
        let first = list("n=3");
        assert_eq!(first.entries, ["a/b", "c", "d"]);
        assert_eq!(first.link.as_deref(), Some("</v2/_catalog?n=3&last=d>; rel=\"next\""));
        assert_eq!(list("n=3&last=d"), Page { entries: vec!["e".into()], link: None });
        assert_eq!(list("n=1").link.as_deref(), Some("</v2/_catalog?n=1&last=a/b>; rel=\"next\""));
        assert_eq!(list("last=bb").entries, ["c", "d", "e"]);
        assert_eq!(list("n=4").link, None);
        assert_eq!(list("").entries.len(), 4);
    }

    #[test]
    fn a_page_of_none_has_no_next() {
        assert_eq!(list("n=0"), Page { entries: vec![], link: None });
        assert!(page(vec![], "n=-1", "/").is_err());
    }
}
