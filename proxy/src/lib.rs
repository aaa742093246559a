//! The proxy: the only room that knows the platform, the credentials, the database and the audit sink.

pub mod sandbox;
