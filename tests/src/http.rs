//! HTTP clients of the harness: plain http to loopback, no proxy, no redirect, no certificates.

use std::sync::Once;
use std::time::Duration;

/// A client that gives up after 30 s.
pub fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Never used for plain http, but the client is not built without one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a plain client can be built")
}
