//! The fuzzer over `bulk`; what must hold stands in `src/bulk.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::bulk::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("bulk"), |data: &[u8]| check(data));
