//! The fuzzer over `leaves`; what must hold stands in `src/leaves.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::leaves::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("leaves"), |data: &[u8]| check(data));
