//! The fuzzer over `answer`; what must hold stands in `src/answer.rs`. Refuses: to hold a property of its own.
#![no_main]

use gostech_fuzz::answer::check;

libfuzzer_sys::fuzz_target!(init: gostech_fuzz::begin("answer"), |data: &[u8]| check(data));
