//! How the guide dialect reads what a platform answers, over real HTTP against a scripted server: the send
//! outcome table, the token's rules, and answers that say nothing. Rows are of the list of bad inputs.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Json, Router};
use proxy::platform::{
    Connected, Endpoint, Priority, ReadError, SendOutcome, Snapshot, connect_guide,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use shared::delivery::PlatformStatus;
use shared::id::{ConversationId, Key};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Answer = Box<dyn FnOnce() -> Response + Send>;

/// A platform that gives the answers it was told to, in order, and remembers what it was asked.
#[derive(Clone, Default)]
struct Script {
    tokens: Arc<Mutex<VecDeque<Answer>>>,
    calls: Arc<Mutex<VecDeque<Answer>>>,
    token_requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Script {
    fn answer(self, make: impl FnOnce() -> Response + Send + 'static) -> Self {
        self.calls.lock().unwrap().push_back(Box::new(make));
        self
    }

    fn token(self, make: impl FnOnce() -> Response + Send + 'static) -> Self {
        self.tokens.lock().unwrap().push_back(Box::new(make));
        self
    }

    fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    fn token_requests(&self) -> usize {
        self.token_requests.lock().unwrap().len()
    }

    async fn serve(&self) -> String {
        let router = Router::new().route("/oauth/token", post(issue)).route("/{*path}", any(reply));
        serve(router.with_state(self.clone())).await
    }

    async fn connect(&self) -> Connected {
        let url = self.serve().await;
        connect(&url, &url)
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn connect(api_url: &str, login_url: &str) -> Connected {
    let _ = rustls::crypto::ring::default_provider().install_default();
    connect_guide(Endpoint {
        api_url: api_url.into(),
        login_url: login_url.into(),
        client_id: "client".into(),
        client_secret: SecretString::from("s&e+c%ret"),
        requests_per_minute: 6_000,
    })
    .unwrap()
}

async fn look(connected: &Connected) -> Result<Snapshot, ReadError> {
    let permit = connected.budget.permit(Priority::Look).await;
    connected.platform.read_conversation(permit, &conversation()).await
}

async fn issue(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> Response {
    script.token_requests.lock().unwrap().push((headers, body));
    let next = script.tokens.lock().unwrap().pop_front();
    next.map_or_else(good_token, |make| make())
}

async fn reply(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> Response {
    script.requests.lock().unwrap().push((headers, body));
    let next = script.calls.lock().unwrap().pop_front();
    next.map_or_else(|| StatusCode::IM_A_TEAPOT.into_response(), |make| make())
}

fn good_token() -> Response {
    Json(json!({"access_token": "t0ken", "token_type": "bearer", "expires_in": 3600}))
        .into_response()
}

fn status(code: u16, body: &'static str) -> Response {
    (StatusCode::from_u16(code).unwrap(), body).into_response()
}

fn conversation() -> ConversationId {
    ConversationId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap()
}

async fn send(connected: &Connected) -> SendOutcome {
    let permit = connected.budget.permit(Priority::Send).await;
    let key = Key::parse("key-1").unwrap();
    connected.platform.send(permit, &conversation(), &key, Bytes::from_static(b"{}")).await
}

fn word(outcome: &SendOutcome) -> &'static str {
    match outcome {
        SendOutcome::Accepted { .. } => "accepted",
        SendOutcome::Refused(_) => "refused",
        SendOutcome::NotSent { .. } | SendOutcome::Held(_) => "not sent",
        SendOutcome::Ambiguous(_) => "ambiguous",
    }
}

#[tokio::test]
async fn every_status_has_its_outcome() {
    let table = [
        ("accepted", vec![200, 201, 202]),
        ("ambiguous", vec![204, 206, 408, 409, 500, 502, 503, 504]),
        (
            "refused",
            vec![
                301, 302, 307, 308, 400, 403, 404, 405, 406, 410, 411, 413, 415, 422, 451, 501, 505,
            ],
        ),
        ("not sent", vec![425, 429]),
    ];
    for (expected, codes) in table {
        for code in codes {
            let script =
                Script::default().answer(move || status(code, r#"{"id":"m-1","status":"queued"}"#));
            let connected = script.connect().await;
            assert_eq!(word(&send(&connected).await), expected, "{code}");
            assert_eq!(script.requests(), 1, "{code}: one call is one request");
        }
    }
}

#[tokio::test]
async fn a_503_that_asks_to_wait_was_not_sent() {
    let script =
        Script::default().answer(|| ([("retry-after", "7")], status(503, "")).into_response());
    // A status set by the inner response survives the added header.
    let outcome = send(&script.connect().await).await;
    let SendOutcome::NotSent { wait, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(wait, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn any_known_first_status_is_a_yes() {
    for (said, expected) in [
        ("queued", PlatformStatus::Queued),
        ("sent", PlatformStatus::Sent),
        ("delivered", PlatformStatus::Delivered),
        ("read", PlatformStatus::Read),
    ] {
        let script = Script::default()
            .answer(move || Json(json!({"id": "m-1", "status": said})).into_response());
        let outcome = send(&script.connect().await).await;
        let SendOutcome::Accepted { receipt, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(receipt.status, Some(expected));
    }
}

#[tokio::test]
async fn rows_54_and_55_a_yes_that_names_no_message_is_ambiguous() {
    let bodies: Vec<Value> = vec![
        json!({}),
        json!([]),
        json!({"id": 7}),
        json!({"id": ""}),
        json!({"id": "x".repeat(10_000)}),
        json!("yes"),
    ];
    for body in bodies {
        let shown = body.to_string();
        let script = Script::default().answer(move || Json(body).into_response());
        assert_eq!(word(&send(&script.connect().await).await), "ambiguous", "{shown:.40}");
    }
    let texts = ["", "<html>ok</html>", "{\"id\":\"m-1\"", "\u{feff}{}"];
    for text in texts {
        let script = Script::default().answer(move || status(200, text));
        assert_eq!(word(&send(&script.connect().await).await), "ambiguous", "{text:?}");
    }
    let endless = futures_util::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(Bytes::from(vec![b'a'; 65_536]))
    });
    let script = Script::default().answer(|| Body::from_stream(endless).into_response());
    assert_eq!(
        word(&send(&script.connect().await).await),
        "ambiguous",
        "bounded, whatever it sends"
    );
}

#[tokio::test]
async fn row_59_an_answer_that_breaks_off_is_ambiguous_and_no_connection_is_not_sent() {
    let script = Script::default().answer(|| {
        let broken = futures_util::stream::iter([
            Ok(Bytes::from_static(b"{\"id\":")),
            Err(std::io::Error::other("reset")),
        ]);
        Body::from_stream(broken).into_response()
    });
    assert_eq!(word(&send(&script.connect().await).await), "ambiguous");
    let connected = connect_guide(Endpoint {
        api_url: "http://127.0.0.1:9".into(),
        login_url: "http://127.0.0.1:9".into(),
        client_id: "client".into(),
        client_secret: SecretString::from("secret"),
        requests_per_minute: 300,
    })
    .unwrap();
    assert_eq!(word(&send(&connected).await), "not sent");
}

#[tokio::test]
async fn row_60_no_redirect_is_followed_and_none_leaks_the_token() {
    for status in [301, 302, 303, 307, 308] {
        let other = Script::default();
        let location = format!("{}/elsewhere", other.serve().await);
        let answer = move || {
            let status = StatusCode::from_u16(status).unwrap();
            ([("location", location)], status).into_response()
        };
        let script = Script::default().answer(answer.clone()).answer(answer.clone());
        let connected = script.connect().await;
        assert_eq!(word(&send(&connected).await), "refused");
        assert!(matches!(look(&connected).await, Err(ReadError::Unavailable(_))));
        let login = Script::default().token(answer);
        assert_eq!(word(&send(&login.connect().await).await), "not sent");
        assert_eq!((script.requests(), login.token_requests(), other.requests()), (2, 1, 0));
    }
}

#[tokio::test]
async fn the_token_is_asked_for_with_basic_and_only_the_grant_in_the_body() {
    let script = Script::default().answer(|| status(202, r#"{"id":"m-1"}"#));
    send(&script.connect().await).await;
    let asked = script.token_requests.lock().unwrap();
    assert_eq!(asked[0].0["authorization"], "Basic Y2xpZW50OnMmZStjJXJldA==");
    assert_eq!(asked[0].1, "grant_type=client_credentials");
    let sent = script.requests.lock().unwrap();
    assert_eq!(sent[0].0["authorization"], "Bearer t0ken");
    assert_eq!(sent[0].0["x-genesys-client-id"], "key-1");
}

#[tokio::test]
async fn row_66_a_401_refreshes_once_and_replays_once() {
    let script =
        Script::default().answer(|| status(401, "")).answer(|| status(202, r#"{"id":"m-1"}"#));
    assert_eq!(word(&send(&script.connect().await).await), "accepted");
    assert_eq!((script.requests(), script.token_requests()), (2, 2));
    let script = Script::default().answer(|| status(401, "")).answer(|| status(401, ""));
    assert_eq!(word(&send(&script.connect().await).await), "not sent");
    assert_eq!((script.requests(), script.token_requests()), (2, 2));
}

#[tokio::test]
async fn row_67_all_who_wait_share_one_token_request() {
    let mut script = Script::default();
    for _ in 0..20 {
        script = script.answer(|| status(202, r#"{"id":"m-1"}"#));
    }
    let connected = Arc::new(script.connect().await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let connected = Arc::clone(&connected);
            tokio::spawn(async move { word(&send(&connected).await) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "accepted");
    }
    assert_eq!(script.token_requests(), 1);
}

#[tokio::test]
async fn row_67_five_hundred_that_wait_for_a_token_that_never_comes_share_one_request_and_give_up()
{
    let script = Script::default();
    let url = {
        let login = Router::new().route(
            "/oauth/token",
            post(|State(script): State<Script>| async move {
                script.token_requests.lock().unwrap().push((HeaderMap::new(), Bytes::new()));
                std::future::pending::<()>().await;
            }),
        );
        serve(login.with_state(script.clone())).await
    };
    let connected = Arc::new(connect(&script.serve().await, &url));
    let begin = tokio::time::Instant::now();
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let connected = Arc::clone(&connected);
            tokio::spawn(async move { word(&send(&connected).await) })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "not sent");
    }
    let took = begin.elapsed().as_secs_f64();
    assert!((9.0..15.0).contains(&took), "{took}");
    assert_eq!((script.token_requests(), script.requests()), (1, 0));
}

#[tokio::test]
async fn row_64_refused_credentials_are_not_tried_again_at_once() {
    let refusal =
        || (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_client"}))).into_response();
    let script = Script::default().token(refusal);
    let connected = script.connect().await;
    for _ in 0..10 {
        assert_eq!(word(&send(&connected).await), "not sent");
    }
    assert_eq!((script.token_requests(), script.requests()), (1, 0));
    assert!(connected.token.problem().unwrap().contains("invalid_client"));
}

#[tokio::test]
async fn row_65_a_login_host_that_is_busy_broken_or_odd_is_asked_again_after_a_while() {
    let answers: [fn() -> Response; 5] = [
        || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "9")]).into_response(),
        || status(503, ""),
        || status(200, "<html>Sign in</html>"),
        || status(200, ""),
        || status(400, r#"{"error":"invalid_request"}"#),
    ];
    for answer in answers {
        let script = Script::default().token(answer).answer(|| status(202, r#"{"id":"m-1"}"#));
        let connected = script.connect().await;
        for _ in 0..5 {
            assert_eq!(word(&send(&connected).await), "not sent");
        }
        assert_eq!((script.token_requests(), script.requests()), (1, 0), "no retry storm");
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while word(&send(&connected).await) != "accepted" {
            assert!(tokio::time::Instant::now() < deadline, "it is never asked again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(script.token_requests(), 2);
    }
}

#[tokio::test]
async fn row_65_odd_token_answers_are_a_failure_or_a_bounded_lifetime() {
    for odd in [
        json!({}),
        json!({"access_token": ""}),
        json!([]),
        json!({"access_token": "a", "token_type": "mac"}),
    ] {
        let script = Script::default().token(move || Json(odd).into_response());
        assert_eq!(word(&send(&script.connect().await).await), "not sent");
    }
    for lifetime in [json!(null), json!(0), json!(-5), json!("3600"), json!(1e12)] {
        let script = Script::default()
            .token(move || {
                Json(json!({"access_token": "a", "expires_in": lifetime})).into_response()
            })
            .answer(|| status(202, r#"{"id":"m-1"}"#))
            .answer(|| status(202, r#"{"id":"m-2"}"#));
        let connected = script.connect().await;
        assert_eq!(word(&send(&connected).await), "accepted");
        assert_eq!(word(&send(&connected).await), "accepted");
        assert_eq!(script.token_requests(), 1, "at least 60 s, less 30 s");
    }
}

#[tokio::test]
async fn row_56_every_form_of_retry_after_is_read_or_left_out() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let after = |value: &'static str| ("retry-after", value);
    let hour = Some(3600);
    type Header = (&'static str, &'static str);
    let cases: Vec<(Vec<Header>, Option<u64>)> = vec![
        (vec![], None),
        (vec![after("0")], Some(0)),
        (vec![after("7")], Some(7)),
        (vec![after("-1")], None),
        (vec![after("1.5")], None),
        (vec![after("soon")], None),
        (vec![after("")], None),
        (vec![after("3601")], hour),
        (vec![after("100000000000000000000")], hour),
        // Dates count from the answer's own: the standard's form, RFC 850's and asctime's.
        (vec![date, after("Sun, 06 Nov 1994 08:50:07 GMT")], Some(30)),
        (vec![date, after("Sunday, 06-Nov-94 08:50:07 GMT")], Some(30)),
        (vec![date, after("Sun Nov  6 08:50:07 1994")], Some(30)),
        (vec![date, after("Sun, 06 Nov 1994 08:49:30 GMT")], Some(0)),
        (vec![date, after("Sat, 06 Nov 2094 08:49:30 GMT")], hour),
        (vec![after("2"), after("3")], Some(3)),
        (vec![after("soon"), after("3")], Some(3)),
    ];
    for (headers, expected) in cases {
        let shown = format!("{headers:?}");
        let script = Script::default().answer(move || {
            let mut response = StatusCode::TOO_MANY_REQUESTS.into_response();
            for (name, value) in headers {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            response
        });
        let connected = script.connect().await;
        let outcome = send(&connected).await;
        let SendOutcome::NotSent { wait, .. } = outcome else { panic!("{shown}: {outcome:?}") };
        assert_eq!(wait, expected.map(Duration::from_secs), "{shown}");
        // A wait that is not nothing holds everybody else back too.
        let paused = connected.budget.usage().paused_for;
        assert_eq!(paused.is_some(), expected != Some(0), "{shown}: {paused:?}");
        assert!(paused.is_none_or(|left| left <= Duration::from_secs(3600)), "{shown}: {paused:?}");
    }
}

#[tokio::test]
async fn row_57_limits_are_learned_and_nonsense_is_ignored_or_held_in_bounds() {
    let names = ["inin-ratelimit-allowed", "inin-ratelimit-count", "inin-ratelimit-reset"];
    let read = |values: [Option<&'static str>; 3]| async move {
        let body = r#"{"channelType":"sms","participants":[]}"#;
        let script = Script::default().answer(move || {
            let mut response = status(200, body);
            for (name, value) in names.into_iter().zip(values) {
                if let Some(value) = value {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
            }
            response
        });
        let connected = script.connect().await;
        look(&connected).await.unwrap();
        let usage = connected.budget.usage();
        (usage.allowed_per_minute, usage.paused_for)
    };
    assert_eq!(read([Some("180"), Some("1"), Some("61")]).await, (171, None));
    for nonsense in [
        [None, None, None],
        [Some("many"), Some("1"), Some("x")],
        [Some("0"), Some("1"), Some("86400")],
        [Some("-5"), Some("1"), Some("1")],
        [Some("99999999999999999999"), Some("1"), Some("1")],
        [None, Some("300"), Some("60")],
    ] {
        assert_eq!(read(nonsense).await, (5_700, None), "{nonsense:?}");
    }
    // Used up: everything waits for the window's end, which is never more than an hour away.
    let (_, paused) = read([Some("300"), Some("295"), Some("86400")]).await;
    let paused = paused.unwrap();
    assert!(paused <= Duration::from_secs(3601) && paused > Duration::from_secs(60), "{paused:?}");
}

#[tokio::test]
async fn row_62_a_look_shows_less_more_or_something_else_and_is_read_for_what_it_says() {
    let with =
        |messages: Value| json!({"channelType": "sms", "participants": [], "messages": messages});
    let script = Script::default()
        .answer(|| Json(json!({"channelType": "sms", "participants": []})).into_response())
        .answer(move || {
            Json(with(json!([
                {"id": "m-1", "status": "teleported"},
                {"id": "m-2", "status": "received"},
                {"id": "m-3"},
                {"id": "m-4", "status": "sent", "statusTimestamps": {"delivered": "2026-11-22T10:00:02Z"}},
                {"id": "m-5", "status": "failed", "statusTimestamps": {"delivered": "2026-11-22T10:00:02Z"}},
            ])))
            .into_response()
        });
    let connected = script.connect().await;
    assert_eq!(look(&connected).await.unwrap().receipts.len(), 0, "missing is not failed");
    let receipts = look(&connected).await.unwrap().receipts;
    let of = |id: &str| &receipts[&shared::id::PlatformId::parse(id).unwrap()];
    for id in ["m-1", "m-2", "m-3"] {
        assert_eq!((of(id).status, &of(id).failure), (None, &None), "{id}");
    }
    assert_eq!(of("m-4").status, Some(PlatformStatus::Delivered), "a stamp is a claim of its own");
    assert!(of("m-5").failure.is_some());
}

#[tokio::test]
async fn row_63_stamps_are_read_exactly_or_not_at_all() {
    let stamps = [
        ("2026-11-22T10:00:00.123456789Z", Some("2026-11-22T10:00:00.123Z")),
        ("2026-11-22T12:00:00+02:00", Some("2026-11-22T10:00:00.000Z")),
        ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59.999Z")),
        ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00.000Z")),
        ("1969-12-31T23:59:59Z", None),
        ("2026-11-22T10:00:00", None),
        ("2026-11-22", None),
        ("yesterday", None),
        ("", None),
    ];
    let messages: Vec<Value> = stamps
        .iter()
        .enumerate()
        .map(|(number, (said, _))| {
            json!({"id": format!("m-{number}"), "status": "delivered",
                   "createdTimestamp": said, "statusTimestamps": {"delivered": said}})
        })
        .collect();
    let body = json!({"channelType": "sms", "participants": [], "messages": messages});
    let script = Script::default().answer(move || Json(body).into_response());
    let receipts = look(&script.connect().await).await.unwrap().receipts;
    for (number, (said, read)) in stamps.into_iter().enumerate() {
        let receipt = &receipts[&shared::id::PlatformId::parse(&format!("m-{number}")).unwrap()];
        let written = |at: Option<shared::time::Timestamp>| at.map(|at| at.to_string());
        assert_eq!(written(receipt.created_at).as_deref(), read, "{said:?}");
        assert_eq!(written(receipt.delivered_at).as_deref(), read, "{said:?}");
        assert_eq!(receipt.status, Some(PlatformStatus::Delivered), "{said:?}");
    }
}

/// Created after delivered, or in 1970: the interval says nothing, and the verdict says so.
#[test]
fn row_63_stamps_that_contradict_each_other_make_no_verdict() {
    use shared::delivery::{Delivery, Happening, Policy, Receipt, State, step};
    use shared::sla::{Cause, Verdict};
    let at = |text: &str| shared::time::Timestamp::parse(text).unwrap();
    let now = at("2026-11-22T10:00:05Z");
    let delivered = |created: &str, delivered: &str| {
        let receipt = Receipt {
            status: Some(PlatformStatus::Delivered),
            created_at: Some(at(created)),
            delivered_at: Some(at(delivered)),
            ..Receipt::default()
        };
        let platform_id = shared::id::PlatformId::parse("m-1").unwrap();
        let mut delivery = Delivery::accepted(now, None, None, 10_000, true);
        for happening in
            [Happening::AttemptStarted, Happening::Taken { platform_id, receipt, was_there: false }]
        {
            delivery = step(&delivery, &happening, &Policy::default(), now, 0.5).unwrap().delivery;
        }
        assert_eq!(delivery.state, State::Delivered);
        let judged = delivery.judgement();
        (judged.verdict, judged.cause)
    };
    assert_eq!(
        delivered("2026-11-22T10:00:00Z", "2026-11-22T10:00:04Z"),
        (Verdict::Met, Cause::InTime)
    );
    for (created, arrived) in [
        ("2026-11-22T10:00:04Z", "2026-11-22T10:00:03.999Z"),
        ("2026-11-22T10:00:00Z", "1970-01-01T00:00:00Z"),
    ] {
        assert_eq!(
            delivered(created, arrived),
            (Verdict::Unknown, Cause::ClockAnomaly),
            "{created}"
        );
    }
    let (verdict, _) = delivered("1970-01-01T00:00:00Z", "2026-11-22T10:00:04Z");
    assert_eq!(verdict, Verdict::Breached, "an interval of decades is never met");
}

#[tokio::test]
async fn a_conversation_is_read_tolerantly_and_an_end_is_never_overlooked() {
    let body = json!({
        "id": "x", "channelType": "SMS", "surprise": [1, 2], "endTime": "some day",
        "participants": [{"id": "p", "role": "agent", "from": {"id": "+447700900100"}}, {"id": "q"}],
        "messages": [
            {"id": "m-1", "status": "delivery-success", "createdTimestamp": "2026-11-22T10:00:00Z",
             "statusTimestamps": {"delivered": "2026-11-22T10:00:02.5Z", "sent": 7}},
            {"id": "m-2", "status": "delivery-failed", "errorInfo": {"code": "c", "message": "Number not in service"}},
            {"id": "m-3", "status": "removed"},
            {"status": "sent"},
        ],
    });
    let script = Script::default().answer(move || Json(body).into_response());
    let connected = script.connect().await;
    let permit = connected.budget.permit(Priority::Look).await;
    let snapshot = connected.platform.read_conversation(permit, &conversation()).await.unwrap();
    assert!(snapshot.conversation.ended_at.is_some());
    assert_eq!(snapshot.conversation.senders(), ["+447700900100"]);
    assert_eq!(snapshot.receipts.len(), 3);
    let of = |id: &str| &snapshot.receipts[&shared::id::PlatformId::parse(id).unwrap()];
    assert_eq!(of("m-1").status, Some(PlatformStatus::Delivered));
    assert_eq!(of("m-1").delivered_at.unwrap().to_string(), "2026-11-22T10:00:02.500Z");
    assert_eq!(of("m-2").failure.as_ref().unwrap().text, "Number not in service");
    assert_eq!((of("m-3").status, &of("m-3").failure), (None, &None));
}

#[tokio::test]
async fn a_missing_conversation_and_a_forbidden_one_are_told_apart() {
    let script = Script::default()
        .answer(|| status(404, ""))
        .answer(|| status(403, ""))
        .answer(|| status(500, ""));
    let connected = script.connect().await;
    let mut found = Vec::new();
    for _ in 0..3 {
        let permit = connected.budget.permit(Priority::Send).await;
        found
            .push(connected.platform.read_conversation(permit, &conversation()).await.unwrap_err());
    }
    assert!(matches!(
        found[..],
        [ReadError::NotFound, ReadError::Forbidden(_), ReadError::Unavailable(_)]
    ));
}
