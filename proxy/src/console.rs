//! Serving the console: files embedded at build time, precompressed, with strict security headers.
//!
//! Names that carry a hash never change and are cached for ever; the document is asked for each time. Every
//! path that is not a file and not `/api` gets the document, because the console keeps its own places in
//! the path.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/console.rs"));
}

const NOT_BUILT: &[u8] = b"<!doctype html><html lang=en><meta charset=utf-8><title>Waybill</title>\
    <h1>The console is not in this binary</h1>\
    <p>It was built with cargo alone. Build it with <code>cargo xtask up</code> or \
    <code>cargo xtask build --release</code>. The API works.";
/// The page that shows HTML content: styled, but without scripts of its own, remote loads or our origin.
const PREVIEW: &str = "preview.html";
const PREVIEW_SCRIPT: &str = "preview.js";
const PREVIEW_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; \
    img-src data:; frame-ancestors 'self'; sandbox allow-scripts";

/// The console's files, ready to be served.
pub struct Console {
    files: HashMap<&'static str, Variants>,
    page_policy: HeaderValue,
}

#[derive(Default)]
struct Variants {
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

impl Console {
    /// The console that is in this binary.
    pub fn embedded() -> Arc<Self> {
        let mut files: HashMap<&'static str, Variants> = HashMap::new();
        for (name, bytes) in embedded::FILES {
            if let Some(plain) = name.strip_suffix(".br") {
                files.entry(plain).or_default().brotli = Some(bytes);
            } else if let Some(plain) = name.strip_suffix(".gz") {
                files.entry(plain).or_default().gzip = Some(bytes);
            } else {
                files.entry(name).or_default().plain = bytes;
            }
        }
        let document = files
            .entry("index.html")
            .or_insert(Variants { plain: NOT_BUILT, ..Variants::default() });
        let page_policy = page_policy(&String::from_utf8_lossy(document.plain));
        Arc::new(Self { files, page_policy })
    }

    fn response(&self, name: &str, headers: &HeaderMap) -> Option<Response> {
        let file = self.files.get(name)?;
        let (body, encoding) = match accepted(headers) {
            Encodings { brotli: true, .. } if file.brotli.is_some() => (file.brotli?, Some("br")),
            Encodings { gzip: true, .. } if file.gzip.is_some() => (file.gzip?, Some("gzip")),
            _ => (file.plain, None),
        };
        let is_page = name.ends_with(".html");
        let cache =
            if is_hashed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut response = body.into_response();
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        out.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        if let Some(encoding) = encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        if name == PREVIEW_SCRIPT {
            // The preview's frame is sandboxed and has no origin, so to its own script it is a stranger.
            let policy = HeaderName::from_static("cross-origin-resource-policy");
            out.insert(policy, HeaderValue::from_static("cross-origin"));
        }
        if name == PREVIEW {
            out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PREVIEW_POLICY));
        } else if is_page {
            out.insert(header::CONTENT_SECURITY_POLICY, self.page_policy.clone());
        }
        Some(response)
    }
}

/// `GET /`.
pub async fn document(State(console): State<Arc<Console>>, headers: HeaderMap) -> Response {
    console
        .response("index.html", &headers)
        .unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// Any other path: a file, or the document for a place inside the console.
pub async fn file(
    State(console): State<Arc<Console>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = console.response(&path, &headers) {
        return response;
    }
    let is_place = !path.rsplit('/').next().unwrap_or_default().contains('.');
    if is_place {
        return document(State(console), headers).await;
    }
    (StatusCode::NOT_FOUND, "There is no such file.\n").into_response()
}

struct Encodings {
    brotli: bool,
    gzip: bool,
}

fn accepted(headers: &HeaderMap) -> Encodings {
    let mut encodings = Encodings { brotli: false, gzip: false };
    for value in headers.get_all(header::ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let mut words = part.split(';').map(str::trim);
            let name = words.next().unwrap_or_default();
            let refused = words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            match name {
                "br" => encodings.brotli = !refused,
                "gzip" => encodings.gzip = !refused,
                _ => {}
            }
        }
    }
    encodings
}

/// Trunk names hashed files `name-0123456789abcdef…`: a dash and at least 12 hex digits before the extension.
fn is_hashed(name: &str) -> bool {
    let stem = name.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
    let stem = stem.strip_suffix("_bg").unwrap_or(stem);
    stem.rsplit_once('-').is_some_and(|(_, hash)| {
        hash.len() >= 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "webmanifest" => "application/json",
        _ => "application/octet-stream",
    }
}

/// The page's policy, with the hash of each inline script in it: Trunk's start script changes every build.
fn page_policy(document: &str) -> HeaderValue {
    let hashes: String = inline_scripts(document)
        .map(|script| format!(" 'sha256-{}'", STANDARD.encode(Sha256::digest(script))))
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{hashes}; style-src 'self'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

fn inline_scripts(document: &str) -> impl Iterator<Item = &str> {
    document.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=")).then_some(script)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_inline_scripts_by_hash_and_others_not() {
        let page = "<script src=\"/a.js\"></script><script type=\"module\">\nstart()\n</script>";
        let scripts: Vec<&str> = inline_scripts(page).collect();
        assert_eq!(scripts, vec!["\nstart()\n"]);
        let policy = page_policy(page);
        let hash = STANDARD.encode(Sha256::digest("\nstart()\n"));
        assert!(policy.to_str().unwrap().contains(&format!("'wasm-unsafe-eval' 'sha256-{hash}';")));
    }

    #[test]
    fn only_hashed_names_are_cached_for_ever() {
        assert!(is_hashed("frontend-3f2a9c0d1e4b5a67_bg.wasm"));
        assert!(is_hashed("console-3f2a9c0d1e4b5a67.css"));
        assert!(!is_hashed("preview.html"));
        assert!(!is_hashed("boot-check.js"));
    }
}
