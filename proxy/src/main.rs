//! The binary `waybill`.

fn main() {}
