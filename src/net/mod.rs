//! The network: a URL to a transport, TLS, HTTP, and the porch before the pages.
