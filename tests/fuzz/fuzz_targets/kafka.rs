//! The fuzzer over `kafka`; what must hold stands in `src/kafka.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::kafka::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("kafka"), |data: &[u8]| check(data));
