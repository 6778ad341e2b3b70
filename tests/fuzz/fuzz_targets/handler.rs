//! The fuzzer over `handler`; what must hold stands in `src/handler.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::handler::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("handler"), |data: &[u8]| check(data));
