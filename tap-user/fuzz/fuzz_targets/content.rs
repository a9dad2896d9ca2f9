#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatetap::http::fuzz::content(bytes));
