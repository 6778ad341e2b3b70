//! The fuzzer over `pushed`; what must hold stands in `src/pushed.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::pushed::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("pushed"), |data: &[u8]| check(data));
