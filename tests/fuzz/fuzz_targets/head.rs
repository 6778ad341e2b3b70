//! The fuzzer over `head`; what must hold stands in `src/head.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::head::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("head"), |data: &[u8]| check(data));
