//! Amounts of memory and processor: `64m`, `1GiB`, `0.5`.

/// A size in bytes. Units are powers of 1024, as in Docker, with or without `i` and `B`.
pub fn size(text: &str) -> Result<u64, String> {
    let fail = || format!("'{text}' is no size; write for example 64m, 1.5g or 1GiB");
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let exponent = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        _ => return Err(fail()),
    };
    let number: f64 = number.parse().map_err(|_| fail())?;
    let bytes = number * 1024f64.powi(exponent);
    if bytes >= i64::MAX as f64 {
        return Err(format!("'{text}' is more than any machine has; write for example 64m, 1.5g or 1GiB"));
    }
    Ok(bytes as u64)
}

/// Processor cores in thousandths; 0 is no bound.
pub fn cpu(text: &str) -> Result<u32, String> {
    let fail = || format!("'{text}' is no number of cores; write for example 0.5 or 2");
    let cores = decimal(text).ok_or_else(fail)?;
    let millis = (cores * 1000.0).round();
    if millis > f64::from(u32::MAX) {
        return Err(fail());
    }
    if cores > 0.0 && millis < 1.0 {
        return Err(format!("'{text}' of a core is too little; the least is 0.001"));
    }
    Ok(millis as u32)
}

/// A share from 0 to 1, in thousandths.
pub fn ratio(text: &str) -> Result<u32, String> {
    match decimal(text) {
        Some(share) if share <= 1.0 => Ok((share * 1000.0).round() as u32),
        _ => Err(format!("'{text}' is no share from 0 to 1; write for example 0.2")),
    }
}

/// A plain decimal number: neither a sign, nor an exponent, nor a word for infinity.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("100", 100),
            ("100b", 100),
            ("64k", 64 << 10),
            ("64m", 64 << 20),
            ("64M", 64 << 20),
            ("64MB", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("1.5g", 3 << 29),
            ("2t", 2 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_shows_one() {
        for text in ["", "m", "-1m", "1.2.3m", "64q", "64mm", "m64", "1e3", "ten", "."] {
            assert_eq!(size(text), Err(format!("'{text}' is no size; write for example 64m, 1.5g or 1GiB")));
        }
        assert!(size("99999999999t").unwrap_err().contains("more than any machine has"));
    }

    #[test]
    fn cores_are_counted_in_thousandths() {
        assert_eq!(cpu("0.5"), Ok(500));
        assert_eq!(cpu("2"), Ok(2000));
        assert_eq!(cpu(".25"), Ok(250));
        assert_eq!(cpu("0"), Ok(0));
        for text in ["", "-1", "500m", "inf", "NaN", "1e3", "half", "99999999999"] {
            assert_eq!(cpu(text), Err(format!("'{text}' is no number of cores; write for example 0.5 or 2")));
        }
        assert!(cpu("0.0001").unwrap_err().contains("the least is 0.001"));
    }

    #[test]
    fn shares_end_at_one() {
        assert_eq!(ratio("0.25"), Ok(250));
        assert_eq!(ratio("1"), Ok(1000));
        assert!(ratio("1.5").unwrap_err().contains("for example 0.2"));
        assert!(ratio("-0.5").is_err());
    }
}
