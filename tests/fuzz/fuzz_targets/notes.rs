//! The fuzzer over `notes`; what must hold stands in `src/notes.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::notes::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("notes"), |data: &[u8]| check(data));
