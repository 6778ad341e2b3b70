//! ○ The fields of a certificate, out of its DER (RFC 5280, 4.1), as far as its key.
//!
//! For what the library does not tell: how long a certificate is valid, whom it names, which key it has. Judges nothing.
//! Refuses: lengths beyond what is there.

pub const SEQUENCE: u8 = 0x30;
pub const INTEGER: u8 = 0x02;
/// The version, which only the oldest certificates lack.
const EXPLICIT_0: u8 = 0xa0;

/// What a certificate says, not yet taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// The name of who has signed it.
    pub issuer: &'a [u8],
    /// Two times.
    pub validity: &'a [u8],
    /// Whom it is for.
    pub subject: &'a [u8],
    /// The content of SubjectPublicKeyInfo.
    pub key: &'a [u8],
}

impl Fields<'_> {
    /// The fields; none where these bytes are no certificate.
    pub fn of(certificate: &[u8]) -> Option<Fields<'_>> {
        let mut rest = certificate;
        let mut whole = take(&mut rest, SEQUENCE)?;
        let mut signed = take(&mut whole, SEQUENCE)?;
        if signed.first() == Some(&EXPLICIT_0) {
            take(&mut signed, EXPLICIT_0)?;
        }
        take(&mut signed, INTEGER)?; // serial number
        take(&mut signed, SEQUENCE)?; // signature algorithm
        let mut next = || take(&mut signed, SEQUENCE);
        Some(Fields { issuer: next()?, validity: next()?, subject: next()?, key: next()? })
    }
}

/// The content of the next element, which must be of this kind.
pub fn take<'a>(rest: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (kind, content) = element(rest)?;
    (kind == tag).then_some(content)
}

/// The next element: one byte of kind, a length in one to five bytes, the content.
pub fn element<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], mut after) = rest.split_first_chunk::<2>()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let bytes = usize::from(first & 0x7f);
        if bytes == 0 || bytes > 4 {
            return None;
        }
        let (digits, behind) = after.split_at_checked(bytes)?;
        length = digits.iter().try_fold(0usize, |n, b| n.checked_mul(256)?.checked_add(usize::from(*b)))?;
        after = behind;
    }
    let (content, behind) = after.split_at_checked(length)?;
    *rest = behind;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::key_size::rsa_bits;
    use crate::net::subject::common_name;
    use crate::net::testing::{fixture, mangled};

    #[test]
    fn whatever_is_no_certificate_has_no_fields_and_does_no_harm() {
        let whole = fixture("rsa-1024");
        assert!(Fields::of(&whole).is_some());
        mangled(&whole, |bytes| {
            let _ = Fields::of(bytes).map(|f| rsa_bits(f.key));
            let _ = common_name(bytes);
        });
    }
}
