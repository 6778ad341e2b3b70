//! The fuzzer over `recovery`; what must hold stands in `src/recovery.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::recovery::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("recovery"), |data: &[u8]| check(data));
