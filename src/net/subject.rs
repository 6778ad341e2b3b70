//! ○ Whom a certificate names: the common name of its subject, out of its DER.
//!
//! Refuses: names that are no text, more than a name can be long.

use crate::limits;
use crate::net::der::{element, Fields, SEQUENCE};

const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// UTF8String, PrintableString, T61String, IA5String: texts of one byte a letter, or UTF-8.
const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];

/// The common name, the last one where there are several; none where it cannot be read.
pub fn common_name(certificate: &[u8]) -> Option<String> {
    let mut names = Fields::of(certificate)?.subject;
    let mut found = None;
    while !names.is_empty() {
        let mut set = element(&mut names).filter(|(tag, _)| *tag == SET)?.1;
        let mut pair = element(&mut set).filter(|(tag, _)| *tag == SEQUENCE)?.1;
        let kind = element(&mut pair).filter(|(tag, _)| *tag == OBJECT_IDENTIFIER)?.1;
        let (tag, text) = element(&mut pair)?;
        if kind == COMMON_NAME && TEXTS.contains(&tag) && text.len() <= limits::HOST_BYTES {
            found = std::str::from_utf8(text).ok().map(str::to_string);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_name_is_read_and_nothing_beyond_the_bytes() {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "ours");
        params.distinguished_name.push(rcgen::DnType::CommonName, "mon@монитор");
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        assert_eq!(common_name(&der).as_deref(), Some("mon@монитор"));
        for end in 0..der.len() {
            common_name(&der[..end]);
        }
        for at in 0..der.len() {
            let mut bytes = der.clone();
            bytes[at] ^= 0xff;
            common_name(&bytes);
        }
        assert_eq!(common_name(b""), None);
    }
}
