//! The few system calls that std lacks: the only room with `unsafe`, each block with its reason.
//!
//! One file a subject. What std can do is not here. Errors are `std::io::Error`; nothing here logs, waits without a
//! limit the caller gave, or knows what an event or a metric is.
#![allow(unsafe_code)]
