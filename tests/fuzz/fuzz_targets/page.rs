//! The fuzzer over `page`; what must hold stands in `src/page.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::page::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("page"), |data: &[u8]| check(data));
