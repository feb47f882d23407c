//! Numbers as Redis reads and writes them.

/// A 64-bit integer in canonical form: no sign but `-`, no leading zeros, no spaces.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let canonical = match digits {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let text = std::str::from_utf8(text).ok().filter(|_| canonical)?;
    text.parse().ok()
}

/// A double; neither NaN nor a number too large for a double is accepted.
pub fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let spelled = text.bytes().any(|byte| byte.eq_ignore_ascii_case(&b'i'));
    (!value.is_nan() && (value.is_finite() || spelled)).then_some(value)
}

/// The shortest text that reads back as the same double, in the form of Redis' `d2string`.
pub fn format_float(value: f64) -> String {
    const INTEGER_MAX: f64 = 4_503_599_627_370_496.0;
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    if value.fract() == 0.0 && value.abs() < INTEGER_MAX {
        return format!("{value:.0}");
    }
    let scientific = format!("{value:e}");
    match scientific.split_once('e') {
        Some((mantissa, exponent)) => layout(mantissa, exponent.parse().unwrap_or(0)),
        None => scientific,
    }
}

/// Decides between plain and exponent form as Redis' `fpconv` does.
fn layout(mantissa: &str, exponent: i32) -> String {
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let digits = mantissa.replace('.', "");
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let shift = exponent - (count - 1);
    if shift >= 0 && exponent < count + 7 {
        return format!("{sign}{digits}{}", zeros(shift));
    }
    if shift < 0 && (shift > -7 || exponent.abs() < 4) {
        let whole = count + shift;
        if whole <= 0 {
            return format!("{sign}0.{}{digits}", zeros(-whole));
        }
        let (whole, fraction) = digits.split_at(usize::try_from(whole).unwrap_or(0));
        return format!("{sign}{whole}.{fraction}");
    }
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{exponent_sign}{}", exponent.abs())
}

fn zeros(count: i32) -> String {
    "0".repeat(usize::try_from(count).unwrap_or(0))
}

/// The sum of two decimal numbers as `INCRBYFLOAT` writes it: exact where both are plain decimals
/// of moderate size, else that of doubles. `None` when either is no number or the sum is not finite.
pub fn add_decimals(left: &[u8], right: &[u8]) -> Option<String> {
    let floats = (parse_float(left)?, parse_float(right)?);
    if let (Some(left), Some(right)) = (fixed_point(left), fixed_point(right)) {
        return left.checked_add(right).map(format_fixed_point);
    }
    let sum = floats.0 + floats.1;
    sum.is_finite().then(|| format!("{sum}"))
}

/// Digits after the point that exact sums keep, as many as Redis prints.
const FRACTION_DIGITS: usize = 17;

/// The number times 10^17, when it is a plain decimal that small.
fn fixed_point(text: &[u8]) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() > 18 || fraction.len() > FRACTION_DIGITS || !plain(whole) || !plain(fraction) {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<FRACTION_DIGITS$}").parse().ok()?;
    Some(if negative { -value } else { value })
}

fn format_fixed_point(value: i128) -> String {
    let scale = 10_i128.pow(17);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (value.abs() / scale, value.abs() % scale);
    let text = format!("{sign}{whole}.{fraction:017}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers() {
        assert_eq!(parse_integer(b"0"), Some(0));
        assert_eq!(parse_integer(b"-12"), Some(-12));
        assert_eq!(parse_integer(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(parse_integer(b"-9223372036854775808"), Some(i64::MIN));
        for text in ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808", "x"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn floats_that_are_numbers() {
        assert_eq!(parse_float(b"1.5"), Some(1.5));
        assert_eq!(parse_float(b"-inf"), Some(f64::NEG_INFINITY));
        for text in ["", "nan", "1e400", " 1", "1x"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn floats_print_as_redis_prints_them() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (-3.0, "-3"),
            (1.5, "1.5"),
            (100_000_000.0, "100000000"),
            (1e20, "1e+20"),
            (0.000_01, "0.00001"),
            (1.5e-7, "1.5e-7"),
            (-0.1, "-0.1"),
            (3.333_333_333_333_333_5, "3.3333333333333335"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(format_float(value), text);
        }
    }

    #[test]
    fn sums_of_decimals_are_exact() {
        let add = |left: &str, right: &str| add_decimals(left.as_bytes(), right.as_bytes());
        assert_eq!(add("10.50", "0.1").as_deref(), Some("10.6"));
        assert_eq!(add("0.1", "0.2").as_deref(), Some("0.3"));
        assert_eq!(add("5.0e3", "2.0e2").as_deref(), Some("5200"));
        assert_eq!(add("3", "-3").as_deref(), Some("0"));
        assert_eq!(add("-0.5", "0.25").as_deref(), Some("-0.25"));
        assert_eq!(add("x", "1"), None);
        assert_eq!(add("1e308", "1e308"), None);
    }
}
