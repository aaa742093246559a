//! Who is let in and who is not, what every answer carries, and clients that take their time.

use reqwest::Method;
use serde_json::json;
use shared::api::path;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tests::submission::{guide, key};
use tests::{Answer, Place, Waybill, raw};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

/// The lines a client sends that is who it says.
fn authorised(waybill: &Waybill) -> [String; 2] {
    let host = format!("Host: {}", waybill.address());
    [host, format!("Authorization: Bearer {}", waybill.api.token)]
}

#[tokio::test]
async fn row_47_only_our_own_host_names_are_served() {
    let place = Place::new();
    let waybill = place.serve().await;
    let (address, port) = (waybill.address(), waybill.port());
    let [_, bearer] = authorised(&waybill);
    let ask = async |path: &str, hosts: &[String]| {
        let mut lines: Vec<&str> = hosts.iter().map(String::as_str).collect();
        lines.push(&bearer);
        raw::status(&raw::get(address, path, &lines).await)
    };
    for path in ["/", path::OPTIONS, "/metrics"] {
        for host in [
            format!("127.0.0.1:{port}"),
            format!("localhost:{port}"),
            format!("LOCALHOST:{port}"),
            format!("[::1]:{port}"),
        ] {
            assert_eq!(ask(path, &[format!("Host: {host}")]).await, 200, "{path} {host}");
        }
        for host in [
            "evil.example".to_owned(),
            format!("evil.example:{port}"),
            format!("127.0.0.1.evil.example:{port}"),
            format!("localhost.evil.example:{port}"),
            "127.0.0.1".to_owned(),
            "127.0.0.1:1".to_owned(),
            format!("127.0.0.1.:{port}"),
            format!("localhost.:{port}"),
            format!("127.1:{port}"),
            format!("0.0.0.0:{port}"),
        ] {
            assert_eq!(ask(path, &[format!("Host: {host}")]).await, 421, "{path} {host}");
        }
        for host in [format!("user@127.0.0.1:{port}"), String::new()] {
            let status = ask(path, &[format!("Host: {host}")]).await;
            assert!([400, 421].contains(&status), "{path} {host:?}: {status}");
        }
        assert_eq!(ask(path, &[]).await, 400, "{path} without a host");
        let ours = format!("Host: 127.0.0.1:{port}");
        assert_eq!(ask(path, &[ours.clone(), ours]).await, 400, "{path} with two hosts");
    }
    // The absolute form names a host too.
    let ours = format!("Host: 127.0.0.1:{port}");
    for target in ["http://evil.example/api/v1/options", "http://evil.example/"] {
        let answer = raw::request(address, "GET", target, &[&ours, &bearer]).await;
        assert!([400, 421].contains(&raw::status(&answer)), "{target}: {answer}");
    }
    // Headers of proxies change nothing.
    let forwarded = ["Host: evil.example", &bearer, &format!("X-Forwarded-Host: 127.0.0.1:{port}")];
    assert_eq!(raw::status(&raw::get(address, path::OPTIONS, &forwarded).await), 421);
}

#[tokio::test]
async fn rows_48_and_49_other_origins_and_sites_may_not_call_the_api() {
    let place = Place::new();
    let waybill = place.serve().await;
    let port = waybill.port();
    let get = async |path: &str, name: &str, value: &str| {
        Answer::of(waybill.api.request(Method::GET, path).header(name, value)).await
    };
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        "http://127.0.0.1:1".to_owned(),
        "http://127.0.0.1".to_owned(),
        format!("https://127.0.0.1:{port}"),
        format!("http://localhost.evil.example:{port}"),
        format!("http://127.0.0.1:{port}.evil.example"),
        format!("http://127.0.0.1:{port}/"),
        String::new(),
    ] {
        let answer = get(path::OPTIONS, "origin", &origin).await;
        assert_eq!((answer.status, answer.code()), (403, "cross_site".into()), "{origin:?}");
        let post = waybill
            .api
            .request(Method::POST, path::SUBMISSIONS)
            .header("origin", &origin)
            .header("idempotency-key", key("origin", 1))
            .json(&guide("Hello"));
        assert_eq!(Answer::of(post).await.status, 403, "{origin:?}");
    }
    for site in ["same-site", "cross-site", "none", "nonsense"] {
        let answer = get(path::OPTIONS, "sec-fetch-site", site).await;
        assert_eq!((answer.status, answer.code()), (403, "cross_site".into()), "{site}");
        // Links in mail arrive like this, so the document is served.
        assert_eq!(get("/", "sec-fetch-site", site).await.status, 200, "{site}");
        assert_eq!(get("/messages", "sec-fetch-site", site).await.status, 200, "{site}");
    }
    let ours = format!("http://127.0.0.1:{port}");
    assert_eq!(get(path::OPTIONS, "origin", &ours).await.status, 200);
    assert_eq!(get(path::OPTIONS, "sec-fetch-site", "same-origin").await.status, 200);
    // No answer invites other origins, not even to a preflight.
    let preflight = waybill
        .api
        .bare(Method::OPTIONS, path::SUBMISSIONS)
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "POST");
    let preflight = Answer::of(preflight).await;
    assert!(preflight.status >= 400, "{}", preflight.status);
    no_cors(&preflight);
    assert!(waybill.api.messages().await.is_empty());
}

#[track_caller]
fn no_cors(answer: &Answer) {
    let invites = answer.headers.keys().any(|name| name.as_str().starts_with("access-control"));
    assert!(!invites, "{:?}", answer.headers);
}

#[tokio::test]
async fn row_50_only_the_current_launch_token_opens_the_api() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let bare = api.bare(Method::GET, path::OPTIONS);
    assert_eq!(Answer::of(bare).await.expect(401).code(), "token");
    let wrong = "0".repeat(64);
    let shorter = &api.token[..63];
    for value in [
        format!("Bearer {wrong}"),
        format!("Bearer {shorter}"),
        format!("Bearer {}0", api.token),
        format!("Basic {}", api.token),
        api.token.clone(),
        "Bearer ".to_owned(),
    ] {
        let request = api.bare(Method::GET, path::OPTIONS).header("authorization", &value);
        assert_eq!(Answer::of(request).await.expect(401).code(), "token");
    }
    let query = api.bare(Method::GET, &format!("{}?token={}", path::OPTIONS, api.token));
    assert_eq!(Answer::of(query).await.status, 401, "a token in the query is no token");

    let rotated = place.run(&["token", "rotate"]).await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    let token = rotated.stdout.trim().to_owned();
    assert_ne!(token, api.token);
    assert_eq!(api.get(path::OPTIONS).await.status, 401, "the old token still opens");
    let renewed = tests::Api { token, ..api.clone() };
    renewed.get(path::OPTIONS).await.expect(200);
    // The new one also holds after a restart.
    waybill.kill9().await;
    let waybill = place.serve().await;
    assert_eq!(waybill.api.token, renewed.token);
}

#[tokio::test]
async fn row_50_guessing_is_slowed_down_and_does_not_lock_the_owner_out() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let mut counts = BTreeMap::new();
    for number in 0..10_000 {
        let guess = format!("Bearer {number:064}");
        let request = api.bare(Method::GET, path::OPTIONS).header("authorization", guess);
        *counts.entry(Answer::of(request).await.status).or_insert(0) += 1;
        if number % 1000 == 0 {
            api.get(path::OPTIONS).await.expect(200);
        }
    }
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [401, 429]);
    // Sixty in a minute are compared and told, the others not even that; the run may take a few minutes.
    assert!(counts[&401] <= 600, "{counts:?}");
    api.get(path::OPTIONS).await.expect(200);
}

#[tokio::test]
async fn row_20_only_json_is_taken() {
    let place = Place::new();
    let waybill = place.serve().await;
    let post = async |kind: Option<&str>| {
        let mut request = waybill
            .api
            .request(Method::POST, path::SUBMISSIONS)
            .header("idempotency-key", key("kind", 1))
            .body(guide("Hello").to_string());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        Answer::of(request).await
    };
    for kind in [
        None,
        Some("text/plain"),
        Some("text/plain; application/json"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonp"),
        Some(""),
    ] {
        let answer = post(kind).await;
        assert_eq!((answer.status, answer.code()), (415, "content_type".into()), "{kind:?}");
    }
    post(Some("Application/JSON; charset=utf-8")).await.expect(202);
}

#[tokio::test]
async fn row_51_methods_that_are_not_offered_are_refused() {
    let place = Place::new();
    let waybill = place.serve().await;
    let address = waybill.address();
    let [host, bearer] = authorised(&waybill);
    let json = "Content-Type: application/json";
    let lines = [host.as_str(), bearer.as_str(), json, "Content-Length: 0"];
    for (method, target) in [
        ("TRACE", "/"),
        ("TRACE", path::OPTIONS),
        ("PUT", path::SUBMISSIONS),
        ("DELETE", path::SUBMISSIONS),
        ("PATCH", path::MESSAGES),
        ("POST", path::MESSAGES),
        ("POST", "/"),
        ("POST", "/healthz"),
    ] {
        let answer = raw::request(address, method, target, &lines).await;
        assert_eq!(raw::status(&answer), 405, "{method} {target}: {answer}");
    }
    let answer = raw::request(address, "CONNECT", "evil.example:443", &[&host]).await;
    assert!([400, 405, 421].contains(&raw::status(&answer)), "{answer}");
    // Two ways to say how long the body is are one too many.
    let smuggled = format!(
        "POST {} HTTP/1.1\r\n{host}\r\n{bearer}\r\n{json}\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET {} HTTP/1.1\r\n{host}\r\n\
         {bearer}\r\nConnection: close\r\n\r\n",
        path::SUBMISSIONS,
        path::OPTIONS,
    );
    let answer = raw::exchange(address, smuggled.as_bytes()).await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "a second request was read: {answer}");
}

/// What every answer carries (the threat model's exact response headers).
const EVERYWHERE: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-read=()",
    ),
];

#[track_caller]
fn carries_everything(what: &str, answer: &Answer) {
    for (name, value) in EVERYWHERE {
        let given: Vec<_> = answer.headers.get_all(name).into_iter().collect();
        assert_eq!(given, [value], "{name} of {what}");
    }
    no_cors(answer);
    for name in ["strict-transport-security", "server", "set-cookie"] {
        assert!(!answer.headers.contains_key(name), "{what} carries {name}");
    }
}

#[tokio::test]
async fn page_assets_and_api_carry_exactly_the_promised_headers() {
    let place = Place::new();
    let waybill = place.serve().await;
    let api = &waybill.api;
    let get = async |path: &str| Answer::of(api.bare(Method::GET, path)).await;

    let page = get("/").await.expect(200);
    carries_everything("the page", &page);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let hashes: String = inline_scripts(&page.text())
        .map(|script| format!(" 'sha256-{}'", tests::submission::base64(&sha256(script))))
        .collect();
    let policy = format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{hashes}; style-src 'self'; \
         img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    );
    assert_eq!(page.header("content-security-policy"), policy);
    assert_eq!(get("/messages/some-place").await.expect(200).body, page.body);

    for (what, answer) in [
        ("an answer", api.get(path::OPTIONS).await.expect(200)),
        ("a refusal", get(path::OPTIONS).await.expect(401)),
        (
            "a missing message",
            api.get("/api/v1/messages/0191d3c4-7b1e-7a54-9a3f-0123456789ab").await.expect(404),
        ),
        ("an unknown call", api.get("/api/v1/nothing").await.expect(404)),
    ] {
        carries_everything(what, &answer);
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
        assert_eq!(answer.header("vary"), "Origin, Sec-Fetch-Site", "{what}");
    }
    for path in ["/healthz", "/metrics", "/reference", "/nothing.js"] {
        carries_everything(path, &get(path).await);
    }
    let misdirected = api.bare(Method::GET, "/").header("host", "evil.example");
    carries_everything("a refused host", &Answer::of(misdirected).await.expect(421));
}

fn inline_scripts(page: &str) -> impl Iterator<Item = &str> {
    page.split("<script").skip(1).filter_map(|rest| {
        let (attributes, rest) = rest.split_once('>')?;
        let (script, _) = rest.split_once("</script>")?;
        (!attributes.contains("src=")).then_some(script)
    })
}

fn sha256(text: &str) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(text).to_vec()
}

#[tokio::test]
async fn the_console_is_served_compressed_cached_by_name_and_with_the_right_types() {
    let place = Place::new();
    let waybill = place.serve().await;
    let get = async |path: &str, accepted: &str| {
        let request = waybill.api.bare(Method::GET, path).header("accept-encoding", accepted);
        Answer::of(request).await.expect(200)
    };
    let page = get("/", "identity").await;
    assert_eq!(page.header("cache-control"), "no-cache");
    let text = page.text();
    let assets: BTreeSet<&str> = text
        .split(['"', '\''])
        .filter(|word| word.starts_with('/') && word.contains('.') && !word.contains(' '))
        .collect();
    let wasm = assets.iter().find(|name| name.ends_with(".wasm"));
    let wasm = wasm.expect("the console is in the binary: run cargo xtask test");
    assert!(assets.iter().any(|name| name.ends_with(".js")), "{assets:?}");
    assert!(assets.iter().any(|name| name.ends_with(".css")), "{assets:?}");
    for name in &assets {
        let plain = get(name, "identity").await;
        carries_everything(name, &plain);
        assert_eq!(plain.header("content-encoding"), "");
        let kind = match name.rsplit('.').next() {
            Some("wasm") => "application/wasm",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => continue,
        };
        assert_eq!(plain.header("content-type"), kind, "{name}");
    }
    let plain = get(wasm, "identity").await;
    assert!(plain.body.starts_with(b"\0asm"));
    assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable");
    let brotli = get(wasm, "gzip, deflate, br, zstd").await;
    assert_eq!(brotli.header("content-encoding"), "br");
    assert_eq!(brotli.header("content-type"), "application/wasm");
    assert!(brotli.header("vary").to_ascii_lowercase().contains("accept-encoding"));
    assert!(brotli.body.len() * 2 < plain.body.len(), "{}", brotli.body.len());
    let gzip = get(wasm, "gzip, br;q=0").await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert!(gzip.body.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn files_outside_the_console_cannot_be_reached() {
    let place = Place::new();
    let waybill = place.serve().await;
    let [host, _] = authorised(&waybill);
    let token = waybill.api.token.clone();
    for target in [
        "/../launch-token",
        "/..%2f..%2flaunch-token",
        "/%2e%2e/data/launch-token",
        "//etc/passwd",
        "/launch-token",
        "/assets/../../launch-token",
        "/..\\launch-token",
    ] {
        let answer = raw::get(waybill.address(), target, &[&host]).await;
        assert!(!answer.contains(&token) && !answer.contains("root:"), "{target}: {answer}");
        assert!([200, 400, 404].contains(&raw::status(&answer)), "{target}: {answer}");
    }
}

#[tokio::test]
async fn row_18_bodies_over_8_mib_are_refused_and_the_connection_closed() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let place = Place::new();
    let waybill = place.serve().await;
    let [host, bearer] = authorised(&waybill);
    let head = |length: &str| {
        format!(
            "POST {} HTTP/1.1\r\n{host}\r\n{bearer}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: {}\r\n{length}\r\n\r\n",
            path::SUBMISSIONS,
            key("large", 1)
        )
    };
    // One byte too many, and said so: refused before it is sent.
    let said = head(&format!("Content-Length: {}", LIMIT + 1));
    let answer = raw::exchange(waybill.address(), said.as_bytes()).await;
    assert_eq!(raw::status(&answer), 413, "{answer}");
    assert!(answer.contains("\"code\":\"too_large\""), "{answer}");
    // Chunks without end: refused once there are too many.
    let mut chunked = head("Transfer-Encoding: chunked").into_bytes();
    for _ in 0..9 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.resize(chunked.len() + 0x10_0000, b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    let mut stream = raw::connect(waybill.address()).await;
    let _ = stream.write_all(&chunked).await;
    let answer = raw::read_all(&mut stream).await;
    assert!([0, 400, 413].contains(&raw::status(&answer)), "{answer}");
    // Exactly the limit is read (and then is not the JSON this call takes).
    let request = waybill
        .api
        .request(Method::POST, path::SUBMISSIONS)
        .header("content-type", "application/json")
        .header("idempotency-key", key("large", 2))
        .body(vec![b' '; LIMIT]);
    assert_eq!(Answer::of(request).await.expect(400).code(), "json");
    // A length that is not true: the rest never comes.
    waybill.api.get(path::OPTIONS).await.expect(200);
}

#[tokio::test]
async fn row_52_a_client_that_drips_its_headers_is_cut_off_and_others_are_not_held_up() {
    let place = Place::new();
    let waybill = place.serve().await;
    let start = Instant::now();
    let mut slow = raw::connect(waybill.address()).await;
    let mut silent = raw::connect(waybill.address()).await;
    slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let (mut reading, mut writing) = slow.split();
    let drip = async {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            if writing.write_all(b"a").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut end = [0; 1024];
    let cut_off = async {
        use tokio::io::AsyncReadExt;
        loop {
            match reading.read(&mut end).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return start.elapsed(),
            }
        }
    };
    // Meanwhile others get their answers at once.
    let others = async {
        let mut slowest = Duration::ZERO;
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        for _ in 0..32 {
            tick.tick().await;
            let asked = Instant::now();
            waybill.api.get(path::OPTIONS).await.expect(200);
            slowest = slowest.max(asked.elapsed());
        }
        slowest
    };
    let cut = async {
        tokio::select! {
            elapsed = cut_off => elapsed,
            () = drip => unreachable!("dripping has no end"),
        }
    };
    let both = async { tokio::join!(cut, others, raw::read_all(&mut silent)) };
    let (cut, slowest, said) = tokio::time::timeout(Duration::from_secs(25), both)
        .await
        .expect("slow clients are cut off");
    assert!((8.0..15.0).contains(&cut.as_secs_f64()), "cut off after {cut:?}");
    assert!(slowest < Duration::from_secs(2), "others waited {slowest:?}");
    assert!(!said.contains("200"), "a silent client got {said}");
}

#[tokio::test]
async fn rows_18_and_52_a_body_that_never_comes_is_given_up() {
    let place = Place::new();
    let waybill = place.serve().await;
    let [host, bearer] = authorised(&waybill);
    let mut stream = raw::connect(waybill.address()).await;
    let head = format!(
        "POST {} HTTP/1.1\r\n{host}\r\n{bearer}\r\nContent-Type: application/json\r\n\
         Idempotency-Key: {}\r\nContent-Length: 500\r\n\r\n{{",
        path::SUBMISSIONS,
        key("never", 1)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let start = Instant::now();
    let answer = raw::read_all(&mut stream).await;
    let elapsed = start.elapsed().as_secs_f64();
    assert!((10.0..25.0).contains(&elapsed), "closed after {elapsed} s: {answer}");
    assert!([0, 400, 408].contains(&raw::status(&answer)), "{answer}");
    assert!(waybill.api.messages().await.is_empty());
    assert_eq!(waybill.api.read(path::MESSAGE_COUNTS).await["total"], json!(0));
}
