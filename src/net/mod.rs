//! The network: a URL to a transport, TLS, HTTP, and the porch before the pages.
//!
//! Everything here has a deadline the caller gave and fails with a [`failure::Failure`]: a kind to count and a sentence to print.
//! What is wrong with the world is a value, never a panic; what could not be right on any day (a URL, a header) is an
//! [`crate::error::Error`] before anything was tried.

pub mod address;
pub mod aes;
pub mod answer;
pub mod crypto;
pub mod datagram;
mod der;
pub mod dial;
mod exchange;
pub mod expiry;
pub mod failure;
pub mod foreign;
pub mod gzip;
pub mod http;
pub mod kept;
pub mod key_size;
pub mod mask;
pub mod page;
pub mod pem;
pub mod porch;
pub mod proxy;
pub mod reply;
pub mod resolve;
pub mod scram;
pub mod secret;
pub mod stream;
pub mod subject;
pub mod target;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
mod trust;
pub mod validity;
pub mod verdict;
mod watch;
