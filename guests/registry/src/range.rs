//! Ranges of bytes: which part of a blob is asked for, and which part of an upload is sent. Pure.

/// What a `Range` header means for content of a given size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    /// From the first to the last byte, both included.
    Part {
        first: u64,
        last: u64,
    },
    /// Nothing of it is there.
    Unsatisfiable,
}

/// Reads `bytes=first-last`, `bytes=first-` and `bytes=-length`. Several ranges, and what is no range of bytes, mean the
/// whole (RFC 9110, 14.2).
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(range) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else { return Wanted::Whole };
    let Some((first, last)) = range.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", length) => match number(length) {
            Some(0) => Wanted::Unsatisfiable,
            Some(_) if size == 0 => Wanted::Unsatisfiable,
            Some(length) => Wanted::Part { first: size.saturating_sub(length), last: size - 1 },
            None => Wanted::Whole,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), _) if first >= size && (last.is_empty() || number(last).is_some()) => Wanted::Unsatisfiable,
            (Some(first), Some(last)) if first <= last => Wanted::Part { first, last: last.min(size - 1) },
            (Some(first), None) if last.is_empty() => Wanted::Part { first, last: size - 1 },
            _ => Wanted::Whole,
        },
    }
}

/// Reads the `Content-Range` of an upload's piece: `first-last`, as the specification writes it, or with `bytes ` before
/// and `/size` behind.
pub fn piece(header: &str) -> Option<(u64, u64)> {
    let range = header.trim().trim_start_matches("bytes").trim_start_matches(['=', ' ']);
    let range = range.split('/').next()?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

/// The `Range` header that tells how far an upload is. An empty one is `0-0`, which no client takes for a byte.
pub fn uploaded(bytes: u64) -> String {
    format!("0-{}", bytes.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_blob() {
        let of_ten = |header| wanted(Some(header), 10);
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(of_ten("bytes=0-0"), Wanted::Part { first: 0, last: 0 });
        assert_eq!(of_ten("bytes=4-"), Wanted::Part { first: 4, last: 9 });
        assert_eq!(of_ten("bytes=4-100"), Wanted::Part { first: 4, last: 9 });
        assert_eq!(of_ten("bytes=-3"), Wanted::Part { first: 7, last: 9 });
        assert_eq!(of_ten("bytes=-30"), Wanted::Part { first: 0, last: 9 });
        for unsatisfiable in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of_ten(unsatisfiable), Wanted::Unsatisfiable, "{unsatisfiable}");
        }
        for whole in ["items=0-1", "bytes=5-4", "bytes=0-1,3-4", "bytes=x-", "bytes="] {
            assert_eq!(of_ten(whole), Wanted::Whole, "{whole}");
        }
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Unsatisfiable);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn a_piece_of_an_upload() {
        assert_eq!(piece("0-4"), Some((0, 4)));
        assert_eq!(piece("bytes 5-9/10"), Some((5, 9)));
        assert_eq!(piece("4-0"), None);
        assert_eq!(piece("x"), None);
        assert_eq!((uploaded(0).as_str(), uploaded(5).as_str()), ("0-0", "0-4"));
    }
}
