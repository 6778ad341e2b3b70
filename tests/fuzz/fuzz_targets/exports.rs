//! The fuzzer over `exports`; what must hold stands in `src/exports.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::exports::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("exports"), |data: &[u8]| check(data));
