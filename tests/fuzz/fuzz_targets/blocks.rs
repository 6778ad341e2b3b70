//! The fuzzer over `blocks`; what must hold stands in `src/blocks.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::blocks::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("blocks"), |data: &[u8]| check(data));
