//! One fuzz target of `proxy::fuzz`, chosen by `WAYBILL_FUZZ_TARGET`. libFuzzer brings `main` and the rest.
#![no_main]

use std::sync::LazyLock;

static FEED: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("WAYBILL_FUZZ_TARGET").unwrap_or_default();
    let found = proxy::fuzz::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    let (_, feed) = found.unwrap_or_else(|| {
        let names: Vec<&str> = proxy::fuzz::TARGETS.into_iter().map(|(name, _)| name).collect();
        panic!("set WAYBILL_FUZZ_TARGET to one of {}", names.join(", "))
    });
    feed
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| FEED(bytes));
