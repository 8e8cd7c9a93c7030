#![no_main]

libfuzzer_sys::fuzz_target!(
    // The engine catches panics of the Parquet reader, and libfuzzer ends the process at the first one, caught or not. One
    // that is not caught still ends it.
    init: std::panic::set_hook(Box::new(|_| ())),
    |data: &[u8]| hostile_data::parquet_input(data)
);
