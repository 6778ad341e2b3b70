//! The fuzzer over `msgpack`; what must hold stands in `src/msgpack.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::msgpack::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("msgpack"), |data: &[u8]| check(data));
