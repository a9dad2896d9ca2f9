#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatetap::policy::fuzz::redaction(bytes));
