//! The fuzzer over `quarantine`; what must hold stands in `src/quarantine.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::quarantine::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("quarantine"), |data: &[u8]| check(data));
