#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gatetap::flow::fuzz::fuzz_reassembly(bytes));
