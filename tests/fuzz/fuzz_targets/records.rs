//! The fuzzer over `records`; what must hold stands in `src/records.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::records::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("records"), |data: &[u8]| check(data));
