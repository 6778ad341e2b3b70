//! The fuzzer over `status`; what must hold stands in `src/status.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::status::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("status"), |data: &[u8]| check(data));
