//! The fuzzer over `formats`; what must hold stands in `src/formats.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::formats::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("formats"), |data: &[u8]| check(data));
