//! Answers that are not what they should be: unreadable, endless, cut short, slow, or with another time.
//!
//! A reply is dropped by answering with a body that fails at once. hyper then closes the connection without
//! flushing the head it had prepared, so the caller sees the connection end with no byte of an answer; if a
//! future version flushed the head first, what arrived would be a chunked body cut short. Either way there
//! is nothing a client could take for an answer, and no special server is needed.

use super::Sandbox;
use super::faults::Kind;
use super::refusal::Refusal;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, SystemTime};

/// How long an oversized answer is, in chunks of this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS: usize = 1600;
const LONG_ID_BYTES: usize = 10_000;
/// Between what arrives of a cut answer and its end, so that it does arrive.
const BEFORE_CUT: Duration = Duration::from_millis(50);

/// A response no byte of which reaches the caller; see the module.
pub fn dropped() -> Response {
    let cut = stream::once(async { Err::<Bytes, _>(broken_off()) });
    (StatusCode::OK, Body::from_stream(cut)).into_response()
}

/// `response` spoilt as `kind` says if it is a yes; a no stays as it is.
pub async fn spoilt(sandbox: &Sandbox, response: Response, kind: Kind) -> Response {
    if !response.status().is_success() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let body = collect(body).await;
    let with_id = |id: Value| {
        let mut reply: Value = serde_json::from_slice(&body).unwrap_or_default();
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("id".to_owned(), id);
        }
        Body::from(reply.to_string())
    };
    let mut content_type = "application/json";
    let new = match kind {
        Kind::EmptyObject => Body::from("{}"),
        Kind::EmptyList => Body::from("[]"),
        Kind::Empty => Body::empty(),
        Kind::Half => Body::from(body.slice(..body.len() / 2)),
        Kind::Html => {
            content_type = "text/html; charset=utf-8";
            Body::from("<!doctype html><title>OK</title><h1>It works!</h1>")
        }
        Kind::WrongCharset => {
            content_type = "application/json; charset=utf-16le";
            let text = String::from_utf8_lossy(&body).into_owned();
            Body::from(text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())
        }
        Kind::IdNumber => with_id(json!(7)),
        Kind::IdLong => with_id(json!("x".repeat(LONG_ID_BYTES))),
        Kind::IdBound => {
            let reply: Value = serde_json::from_slice(&body).unwrap_or_default();
            match sandbox.0.store.another_message(reply["id"].as_str().unwrap_or_default()) {
                Ok(other) => with_id(other.map_or(reply["id"].clone(), Value::from)),
                Err(error) => return Refusal::from(error).into_response(),
            }
        }
        Kind::Declared => {
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(CHUNKS * CHUNK_BYTES));
            Body::from_stream(padded(&body))
        }
        Kind::Streamed => Body::from_stream(padded(&body)),
        Kind::Gzip => {
            parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            match bomb(&body) {
                Ok(bytes) => Body::from(bytes),
                Err(_) => Body::empty(),
            }
        }
    };
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Response::from_parts(parts, new)
}

/// `response` with half its body, after which the connection breaks.
pub async fn cut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = collect(body).await;
    // The whole length is announced, so that what is missing is missed.
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let half = body.slice(..body.len() / 2);
    let end = async {
        tokio::time::sleep(BEFORE_CUT).await;
        Err(broken_off())
    };
    let pieces = stream::iter([Ok(half)]).chain(stream::once(end));
    Response::from_parts(parts, Body::from_stream(pieces))
}

/// `response` with its body one byte at a time.
pub async fn drip(response: Response, every: Duration) -> Response {
    let (parts, body) = response.into_parts();
    let body = collect(body).await;
    let bytes = (0..body.len()).map(move |at| body.slice(at..=at));
    let slowly = stream::iter(bytes).then(move |byte| async move {
        tokio::time::sleep(every).await;
        Ok::<_, std::io::Error>(byte)
    });
    Response::from_parts(parts, Body::from_stream(slowly))
}

/// Dates the answer by a clock that is `skew_ms` off; a right clock leaves it to the server.
pub fn date(skew_ms: i64, response: &mut Response) {
    if skew_ms == 0 {
        return;
    }
    let skew = Duration::from_millis(skew_ms.unsigned_abs());
    let now = SystemTime::now();
    let shown = if skew_ms < 0 { now.checked_sub(skew) } else { now.checked_add(skew) };
    let text = httpdate::fmt_http_date(shown.unwrap_or(now));
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(header::DATE, value);
    }
}

/// The bodies made here are in memory and cannot fail.
async fn collect(body: Body) -> Bytes {
    to_bytes(body, usize::MAX).await.unwrap_or_default()
}

/// What `body` says, drawn out to 100 MiB with white space, which JSON allows at its end.
fn padded(body: &Bytes) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
    let blank = Bytes::from(vec![b' '; CHUNK_BYTES]);
    let first = [body.clone(), blank.slice(body.len().min(CHUNK_BYTES)..)];
    stream::iter(first).chain(stream::repeat(blank).take(CHUNKS - 1)).map(Ok)
}

/// The same in a few hundred kilobytes of gzip.
fn bomb(body: &Bytes) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(body)?;
    let blank = vec![b' '; CHUNK_BYTES];
    for _ in 0..CHUNKS {
        packed.write_all(&blank)?;
    }
    packed.finish()
}

fn broken_off() -> std::io::Error {
    std::io::Error::other("dropped by a fault")
}
