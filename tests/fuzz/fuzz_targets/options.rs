//! The fuzzer over `options`; what must hold stands in `src/options.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::options::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("options"), |data: &[u8]| check(data));
