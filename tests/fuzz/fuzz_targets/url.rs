//! The fuzzer over `url`; what must hold stands in `src/url.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::url::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("url"), |data: &[u8]| check(data));
