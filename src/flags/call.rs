//! ○ What a program was called with, kept so that its whole configuration can be read again while it runs.
//!
//! Passwords may be among it: it is overwritten when it is dropped, and never shown.

use std::ffi::{OsStr, OsString};

/// Arguments and environment of a call.
#[derive(Default)]
pub struct Call {
    /// The arguments, without the program's own name.
    pub args: Vec<OsString>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Call {
    /// A variable of the environment.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_os_str())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let env = std::mem::take(&mut self.env).into_iter().map(|(_, value)| value);
        blank(std::mem::take(&mut self.args).into_iter().chain(env).map(OsString::into_encoded_bytes));
    }
}

/// Overwrites what is dropped.
pub fn blank(values: impl Iterator<Item = Vec<u8>>) {
    for mut bytes in values {
        bytes.fill(0);
        std::hint::black_box(&mut bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let env = vec![("AB".into(), "1".into()), ("A".into(), "2".into())];
        let call = Call { args: vec!["--x".into()], env };
        assert_eq!(call.variable("A"), Some(OsStr::new("2")));
        assert_eq!(call.variable("B"), None);
    }
}
