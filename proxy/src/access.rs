//! Who may ask: the checks that stand before every `/api` request in local mode.
//!
//! A browser on this machine opens any page, and any page can send requests to loopback. So `/api` takes a
//! request only when its `Host` is ours (rebinding), its `Origin` and `Sec-Fetch-Site`, where present, are
//! our own page's, and it carries the launch token as a bearer. The document itself is always served,
//! because links from mail arrive as cross-site. No CORS header is ever sent.

use crate::error::Failure;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use subtle::ConstantTimeEq;

/// Wrong tokens in a minute after which further ones are not even compared.
const GUESSES_MAX: usize = 60;

/// What requests are checked against.
pub struct Access {
    /// The hosts that are ours, as they are written.
    hosts: [String; 3],
    token: Mutex<Token>,
    token_file: PathBuf,
    guesses: Mutex<VecDeque<Instant>>,
}

/// The launch token, and which file it was read from.
struct Token {
    secret: SecretString,
    read_from: Option<Written>,
}

/// What tells one writing of a file from every other. A rotation puts a new file in the place of the old one.
#[derive(PartialEq, Eq)]
struct Written {
    modified: SystemTime,
    bytes: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Written {
    fn of(file: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(file).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            bytes: metadata.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&metadata),
        })
    }
}

impl Access {
    /// Access for a server on `port` with this launch token, read again whenever `token_file` is another than it
    /// was, so that `waybill token rotate` takes effect at once.
    pub fn new(port: u16, token: SecretString, token_file: PathBuf) -> Self {
        let hosts = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{port}"));
        let token = Mutex::new(Token { secret: token, read_from: None });
        Self { hosts, token, token_file, guesses: Mutex::default() }
    }

    fn is_token(&self, bearer: &str) -> bool {
        // The file decides: after a rotation the old token must not open anything.
        let written = Written::of(&self.token_file);
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        if written.is_some()
            && written != token.read_from
            && let Ok(text) = std::fs::read_to_string(&self.token_file)
            && text.trim().len() >= 32
        {
            *token =
                Token { secret: SecretString::from(text.trim().to_owned()), read_from: written };
        }
        token.secret.expose_secret().as_bytes().ct_eq(bearer.as_bytes()).into()
    }

    /// Counts a wrong token; true while there have not been too many.
    fn may_guess(&self, now: Instant) -> bool {
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        while guesses.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(60)) {
            guesses.pop_front();
        }
        guesses.push_back(now);
        guesses.truncate(GUESSES_MAX + 1);
        guesses.len() <= GUESSES_MAX
    }

    fn is_our_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|ours| host.eq_ignore_ascii_case(ours))
    }

    fn is_our_origin(&self, origin: &str) -> bool {
        origin.strip_prefix("http://").is_some_and(|host| self.is_our_host(host))
    }
}

/// For every request: the `Host` must be ours, once.
pub async fn check_host(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    host(&access, request.headers(), request.uri())?;
    Ok(next.run(request).await)
}

/// For `/api`: our own page or a program, with the launch token.
pub async fn check_caller(
    State(access): State<Arc<Access>>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    same_site(&access, request.headers())?;
    bearer(&access, request.headers())?;
    content_type(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

fn host(access: &Access, headers: &HeaderMap, uri: &Uri) -> Result<(), Failure> {
    let mut hosts = headers.get_all(header::HOST).into_iter();
    let (Some(first), None) = (hosts.next(), hosts.next()) else {
        return Err(Failure::bad_request("host", "Exactly one Host header is needed"));
    };
    let named = first.to_str().unwrap_or_default();
    let target = uri.authority().map(|authority| authority.as_str());
    if access.is_our_host(named) && target.is_none_or(|target| access.is_our_host(target)) {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::MISDIRECTED_REQUEST,
        "host",
        "This is not the host Waybill serves",
    )
    .detail("Open the link that waybill serve printed."))
}

fn same_site(access: &Access, headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |what: &str| {
        Failure::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            format!("A request from {what} is refused"),
        )
        .detail("Only the console itself, or a program with the launch token, may call the API.")
    };
    for origin in headers.get_all(header::ORIGIN) {
        if !origin.to_str().is_ok_and(|origin| access.is_our_origin(origin)) {
            return Err(refused("another origin"));
        }
    }
    for site in headers.get_all("sec-fetch-site") {
        if site != "same-origin" {
            return Err(refused("another site"));
        }
    }
    Ok(())
}

fn bearer(access: &Access, headers: &HeaderMap) -> Result<(), Failure> {
    let mut given = headers.get_all(header::AUTHORIZATION).into_iter();
    let bearer = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")),
        _ => None,
    };
    if let Some(bearer) = bearer {
        if access.is_token(bearer) {
            return Ok(());
        }
        if !access.may_guess(Instant::now()) {
            return Err(Failure::new(
                StatusCode::TOO_MANY_REQUESTS,
                "guessing",
                "Too many wrong tokens",
            )
            .detail("Wait a minute, then open the link that waybill serve printed."));
        }
    }
    Err(Failure::new(
        StatusCode::UNAUTHORIZED,
        "token",
        "The launch token is missing or not the current one",
    )
    .detail("Open the link that waybill serve printed, or send Authorization: Bearer TOKEN."))
}

/// A form or a plain text is what a foreign page can post without asking; JSON is not.
fn content_type(method: &Method, headers: &HeaderMap) -> Result<(), Failure> {
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        return Ok(());
    }
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if is_json {
        return Ok(());
    }
    Err(Failure::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content_type",
        "The body must be application/json",
    )
    .detail("Send the header Content-Type: application/json."))
}
