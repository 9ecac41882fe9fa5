#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| clusterctl_fuzz::records(data));
