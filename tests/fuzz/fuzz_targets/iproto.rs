//! The fuzzer over `iproto`; what must hold stands in `src/iproto.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::iproto::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("iproto"), |data: &[u8]| check(data));
