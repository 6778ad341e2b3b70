//! The fuzzer over `json`; what must hold stands in `src/json.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::json::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("json"), |data: &[u8]| check(data));
