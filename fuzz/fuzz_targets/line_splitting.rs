#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile_data::line_splitting(data));
