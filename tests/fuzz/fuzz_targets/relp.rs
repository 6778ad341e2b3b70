//! The fuzzer over `relp`; what must hold stands in `src/relp.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::relp::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("relp"), |data: &[u8]| check(data));
