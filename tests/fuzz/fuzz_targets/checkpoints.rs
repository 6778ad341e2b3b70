//! The fuzzer over `checkpoints`; what must hold stands in `src/checkpoints.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::checkpoints::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("checkpoints"), |data: &[u8]| check(data));
