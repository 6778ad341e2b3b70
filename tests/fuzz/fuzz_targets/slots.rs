//! The fuzzer over `slots`; what must hold stands in `src/slots.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::slots::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("slots"), |data: &[u8]| check(data));
