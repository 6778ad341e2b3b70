//! The fuzzer over `strides`; what must hold stands in `src/strides.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::strides::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("strides"), |data: &[u8]| check(data));
