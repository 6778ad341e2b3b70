//! The fuzzer over `lists`; what must hold stands in `src/lists.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::lists::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("lists"), |data: &[u8]| check(data));
