//! Bytes as hexadecimal digits.

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Two lower-case digits for each byte.
pub fn lower(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles.map(|nibble| char::from(DIGITS[usize::from(nibble)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(lower(&[0, 1, 0x7f, 0xa0, 0xff]), "00017fa0ff");
        assert_eq!(lower(&[]), "");
    }
}
