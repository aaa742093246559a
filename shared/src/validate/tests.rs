//! Rows 25 to 43 of the bad inputs, and what holds for every list of findings. The examples of the catalogue and
//! the vectors try every rule besides.

use super::*;
use crate::conversation::Participant;
use crate::finding::Severity;
use crate::finding::may_send;
use crate::id::ConversationId;
use crate::payload::Attachment;
use crate::rules::Dialect;
use crate::time::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const SMS_ATTACHMENT_BYTES_MAX: usize = 1024 * 1024;

fn judge(payload: &Payload, context: Context) -> Vec<Finding> {
    validate(payload, Ruleset::embedded(Dialect::Guide), context)
}

fn sms() -> Conversation {
    let participant = |id: &str, role: &str, address: &str| Participant {
        id: id.into(),
        role: role.into(),
        address: address.into(),
    };
    Conversation {
        id: ConversationId::parse("a1b2c3d4-e5f6-7890-abcd-ef1234567890").unwrap(),
        channel: Channel::Sms,
        participants: vec![
            participant("1", "agent", "+447700900100"),
            participant("2", "customer", "+447700900141"),
            participant("3", "observer", "+447700900102"),
            participant("4", "agent", "+447700900103"),
            participant("5", "agent", "+447700900103"),
            participant("6", "", "+447700900104"),
        ],
        ended_at: None,
        read_at: Timestamp::from_unix_ms(0),
    }
}

fn good() -> Payload {
    Payload {
        from: "+447700900100".into(),
        to: vec!["+447700900141".into()],
        content_type: "text/plain".into(),
        content: "Hello".into(),
        attachments: Vec::new(),
    }
}

fn codes(payload: &Payload) -> Vec<String> {
    let conversation = sms();
    judge(payload, Context::Conversation(&conversation))
        .into_iter()
        .map(|finding| finding.code)
        .collect()
}

fn with_file(change: impl FnOnce(&mut Attachment)) -> Payload {
    let mut attachment = Attachment {
        content_type: "image/png".into(),
        filename: "photo.png".into(),
        content: Some(STANDARD.encode(b"\x89PNG\r\n\x1a\n....")),
        url: None,
    };
    change(&mut attachment);
    Payload { attachments: vec![attachment], ..good() }
}

#[test]
fn a_good_message_has_no_findings() {
    assert!(codes(&good()).is_empty());
    assert!(codes(&with_file(|_| ())).is_empty());
}

/// Bad inputs, rows 25 to 27 and 29 to 33: each payload and the one code it must get.
#[test]
fn bad_senders_recipients_and_content_are_found() {
    type Change = fn(&mut Payload);
    let cases: [(&str, Change); 21] = [
        ("from.required", |p| p.from.clear()),
        ("from.not_participant", |p| p.from = "+447700900999".into()),
        ("from.role", |p| p.from = "+447700900102".into()),
        ("from.role_missing", |p| p.from = "+447700900104".into()),
        ("from.ambiguous", |p| p.from = "+447700900103".into()),
        ("to.required", |p| p.to.clear()),
        ("to.too_many", |p| p.to = (0..1_001).map(|one| format!("+4477009{one:05}")).collect()),
        ("to.duplicate", |p| p.to.push("+447700900141".into())),
        ("to.empty", |p| p.to = vec![" ".into()]),
        ("to.too_long", |p| p.to = vec!["1".repeat(2_000)]),
        ("to.invisible", |p| p.to = vec!["+4477009\r\n00141".into()]),
        ("to.invisible", |p| p.to = vec!["+44770090\u{202e}0141".into()]),
        ("to.phone", |p| p.to = vec!["07700 900141".into()]),
        ("type.unknown", |p| p.content_type = "TEXT/PLAIN".into()),
        ("type.unknown", |p| p.content_type = "text/plain; charset=utf-8".into()),
        ("type.channel", |p| p.content_type = "text/html".into()),
        ("content.not_text", |p| p.content = serde_json::json!({"a": 1})),
        ("content.empty", |p| p.content = "".into()),
        ("content.empty", |p| p.content = " \n ".into()),
        ("content.nul", |p| p.content = "a\0b".into()),
        ("content.too_long", |p| p.content = "a".repeat(1024 * 1024).into()),
    ];
    for (code, change) in cases {
        let mut payload = good();
        change(&mut payload);
        let found = codes(&payload);
        assert_eq!(found.first().map(String::as_str), Some(code), "{found:?}");
    }
}

/// Bad inputs, rows 35, 36, 38, 39, 41 and 43.
#[test]
fn bad_attachments_are_found() {
    type Change = fn(&mut Attachment);
    let cases: [(&str, Change); 26] = [
        ("attachment.source", |a| a.url = Some("https://cdn.example.com/a.png".into())),
        ("attachment.source", |a| a.content = None),
        ("attachment.base64", |a| a.content = Some("iVBO Rw0K".into())),
        ("attachment.base64", |a| a.content = Some("_-__".into())),
        ("attachment.base64", |a| a.content = Some("iVBORw0KGgo".into())),
        ("attachment.base64", |a| a.content = Some("QUJ=".into())),
        ("attachment.bytes", |a| a.content = Some(STANDARD.encode("<html>"))),
        ("attachment.empty", |a| a.content = Some(String::new())),
        ("attachment.type", |a| a.content_type = "image/svg+xml".into()),
        ("attachment.extension", |a| a.filename = "photo.pdf".into()),
        ("attachment.filename", |a| a.filename = "a.exe.png".into()),
        ("attachment.filename", |a| a.filename = "../../p.png".into()),
        ("attachment.filename", |a| a.filename = "C:\\x.png".into()),
        ("attachment.filename", |a| a.filename = "a\0.png".into()),
        ("attachment.filename", |a| a.filename = "CON.png".into()),
        ("attachment.filename", |a| a.filename = format!("{}.png", "a".repeat(300))),
        ("attachment.filename", |a| a.filename = "gnp\u{202e}.png".into()),
        ("attachment.url", |a| by_url(a, "file:///etc/passwd")),
        ("attachment.url", |a| by_url(a, "javascript:alert(1)")),
        ("attachment.url", |a| by_url(a, "//cdn.example.com/a.png")),
        ("attachment.url", |a| by_url(a, "https://user@cdn.example.com/a.png")),
        ("attachment.url", |a| by_url(a, "http://cdn.example.com/a.png")),
        ("attachment.url", |a| by_url(a, "https://127.1/a.png")),
        ("attachment.url", |a| by_url(a, "https://[::ffff:7f00:1]/a.png")),
        ("attachment.url", |a| by_url(a, "https://2130706433/a.png")),
        ("attachment.url", |a| by_url(a, "https://printer.local/a.png")),
    ];
    for (code, change) in cases {
        let payload = with_file(change);
        let found = codes(&payload);
        assert!(found.iter().any(|one| one == code), "{code}: {found:?}");
    }
    assert!(codes(&with_file(|a| a.filename = format!("{}.png", "a".repeat(251)))).is_empty());
    let longest = format!("https://cdn.example.com/{}", "a".repeat(2048 - 24));
    assert!(codes(&with_file(|a| by_url(a, &longest))).is_empty());
    let longer = codes(&with_file(|a| by_url(a, &format!("{longest}a"))));
    assert_eq!(longer, ["attachment.url"]);
    let host = |last: usize| format!("{0}.{0}.{0}.{1}.com", "a".repeat(63), "a".repeat(last));
    let of = |host: String| codes(&with_file(|a| by_url(a, &format!("https://{host}/a.png"))));
    assert!(of(host(57)).is_empty(), "253 characters are a host");
    assert_eq!(of(host(58)), ["attachment.url"]);
    let most = (0..1_000).map(|one| format!("+4477009{one:05}")).collect();
    assert!(!codes(&Payload { to: most, ..good() }).iter().any(|code| code == "to.too_many"));
    assert!(codes(&with_file(|a| by_url(a, "https://cdn.example.com/a.png?x=1"))).is_empty());
    let many = Payload { attachments: vec![with_file(|_| ()).attachments.remove(0); 51], ..good() };
    assert_eq!(codes(&many), ["attachments.too_many"]);
    // Fewer are too many as well, and each of them is judged.
    let fifty = Payload { attachments: many.attachments[1..].to_vec(), ..good() };
    let found = codes(&fifty);
    assert_eq!(found.iter().filter(|code| *code == "attachment.duplicate").count(), 49);
    assert!(found.iter().any(|code| code == "attachments.too_many"));
    // A text without files is no MMS.
    let long = Payload { content: "a".repeat(5_000_000).into(), ..good() };
    assert!(!codes(&long).iter().any(|code| code == "attachments.too_large"));
}

fn by_url(attachment: &mut Attachment, url: &str) {
    attachment.content = None;
    attachment.url = Some(url.into());
}

/// Bad inputs, row 37: the limit is of decoded bytes, so base64 may be longer than it.
#[test]
fn size_is_measured_after_decoding() {
    let of = |bytes: usize| {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.resize(bytes, 0);
        with_file(|attachment| attachment.content = Some(STANDARD.encode(file)))
    };
    assert!(codes(&of(SMS_ATTACHMENT_BYTES_MAX)).is_empty());
    assert_eq!(codes(&of(SMS_ATTACHMENT_BYTES_MAX + 1)), ["attachment.size"]);
}

#[test]
fn what_is_not_known_is_refused() {
    let unknown = Channel::parse("pigeon");
    let findings = judge(&good(), Context::Channel(&unknown));
    assert_eq!(findings[0].code, "channel.unknown");
    let ended = Conversation { ended_at: Some(Timestamp::from_unix_ms(1)), ..sms() };
    let findings = judge(&good(), Context::Conversation(&ended));
    assert_eq!(findings[0].code, "conversation.ended");
}

#[test]
fn a_long_text_is_a_warning_that_names_what_it_costs() {
    let payload = Payload { content: "it’s ".repeat(20).into(), ..good() };
    let conversation = sms();
    let findings = judge(&payload, Context::Conversation(&conversation));
    assert!(may_send(&findings));
    assert_eq!(findings[0].code, "sms.alphabet");
    assert_eq!(findings[0].how, "Replacing these characters saves 1 of 2 parts.");
}

#[test]
fn html_that_shows_nothing_or_does_something_is_found() {
    let is = |code: &str, html: &str| {
        let payload = Payload {
            content_type: "text/html".into(),
            content: html.into(),
            from: "service@example.com".into(),
            to: vec!["customer@example.com".into()],
            ..good()
        };
        let found = judge(&payload, Context::Channel(&Channel::Email));
        found.iter().any(|one| one.code == code)
    };
    let empty = |html: &str| is("html.empty", html);
    for html in ["<!-- <b>Hello</b> -->", "<script>Hello</script>", "<style>a > b {}</style>&nbsp;"]
    {
        assert!(empty(html), "{html}");
    }
    for html in ["<!-- > --> Hello", "<p>Hello", "<script>x</script> Hello", "<img src=a>"] {
        assert!(!empty(html), "{html}");
    }
    for html in ["<p onclick=x()>a</p>", "<p title=a ONLOAD\n= \"x\">a</p>"] {
        assert!(is("html.active", html), "{html}");
    }
    for html in ["<p on=\"1\">a</p>", "<p on-time=\"yes\">a</p>", "<p only=\"1\">a</p> onclick=x"] {
        assert!(!is("html.active", html), "{html}");
    }
}

#[test]
fn what_an_alphabet_costs_is_said_for_what_can_be_done() {
    let conversation = sms();
    let told = |text: String| {
        let payload = Payload { content: text.into(), ..good() };
        let found = judge(&payload, Context::Conversation(&conversation));
        let found = found.into_iter().find(|one| one.code == "sms.alphabet").unwrap();
        (found.what, found.how)
    };
    // Replacing the typographic one would save nothing, because another one stays.
    let (what, how) = told("ж’ ".repeat(50));
    assert_eq!(what, "\"ж\" \"’\" make it 3 parts in UCS-2");
    assert_eq!(how, "Leaving these characters out saves 2 of 3 parts.");
    let (what, how) = told("жш".repeat(500));
    assert_eq!(what, "\"ж\" \"ш\" make it 15 parts in UCS-2");
    assert_eq!(how, "Leaving these characters out saves 8 of 15 parts.");
    let (what, _) = told("абвгд".repeat(20));
    assert_eq!(what, "\"а\" \"б\" \"в\" \"г\" \"д\" make it 2 parts in UCS-2");
    let (what, _) = told("абвгдеж".repeat(20));
    assert_eq!(what, "\"а\" \"б\" \"в\" \"г\" \"д\" and 2 more make it 3 parts in UCS-2");
}

#[test]
fn errors_come_before_warnings_and_every_finding_says_what_why_and_how() {
    let payload =
        Payload { content: "a".repeat(400).into(), to: Vec::new(), from: String::new(), ..good() };
    let conversation = sms();
    let findings = judge(&payload, Context::Conversation(&conversation));
    let severities: Vec<Severity> = findings.iter().map(|one| one.severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Warning]);
    for finding in findings {
        assert!(![finding.what, finding.why, finding.how].iter().any(String::is_empty));
    }
}

/// A rule is not applicable where its subject is not there, and each subject is there in one of these.
#[test]
fn the_checklist_says_what_does_not_apply() {
    use crate::rules::example;
    let subjects = |payload: &Payload, context: Context| -> Vec<Subject> {
        let rules = Ruleset::embedded(Dialect::Guide);
        let findings = validate(payload, rules, context);
        let mut applied: Vec<Subject> = checklist(payload, rules, context, &findings)
            .into_iter()
            .filter(|(_, outcome)| *outcome != Outcome::NotApplicable)
            .map(|(rule, _)| rule.subject)
            .collect();
        applied.dedup();
        applied
    };
    use Subject::{
        Attachments, Channel as OnChannel, Content, Conversation as InConversation, Email, File,
        Html, Participant as Party, Phone, Plain, Recipients, Sender, Sms, Text, Type, Url,
    };
    let sms = sms();
    assert_eq!(
        subjects(&good(), Context::Conversation(&sms)),
        [
            OnChannel,
            InConversation,
            Sender,
            Party,
            Recipients,
            Phone,
            Type,
            Content,
            Text,
            Plain,
            Sms
        ]
    );
    assert_eq!(
        subjects(&good(), Context::Channel(&Channel::Open)),
        [OnChannel, Sender, Recipients, Type, Content, Text, Plain]
    );
    assert_eq!(
        subjects(&good(), Context::Unread),
        [Sender, Recipients, Type, Content, Text, Plain]
    );
    let html = Payload {
        content_type: "text/html".into(),
        content: "<p>Hello</p>".into(),
        ..example::payload(&Channel::Email)
    };
    assert_eq!(
        subjects(&html, Context::Channel(&Channel::Email)),
        [OnChannel, Sender, Recipients, Email, Type, Content, Text, Html]
    );
    // JSON on SMS is cut by nobody here, and a file is there by value or by address.
    let json = Payload { content_type: "application/json".into(), ..with_file(|_| ()) };
    assert_eq!(
        subjects(&json, Context::Channel(&Channel::Sms)),
        [OnChannel, Sender, Recipients, Phone, Type, Content, Attachments, File]
    );
    let linked = with_file(|file| by_url(file, "https://cdn.example.com/a.png"));
    assert_eq!(
        subjects(&linked, Context::Unread),
        [Sender, Recipients, Type, Content, Text, Plain, Attachments, Url]
    );
    // What fails is counted, and what is kept passes.
    let context = Context::Conversation(&sms);
    let twice = Payload { to: vec!["1".into(), "2".into()], ..good() };
    let rules = Ruleset::embedded(Dialect::Guide);
    let checks = checklist(&twice, rules, context, &validate(&twice, rules, context));
    let of = |code: &str| checks.iter().find(|(rule, _)| rule.code == code).unwrap().1;
    assert_eq!((of("to.phone"), of("from.required")), (Outcome::Fail(2), Outcome::Pass));
}

#[test]
fn the_limits_of_every_channel_are_these() {
    assert_eq!((CONTENT_BYTES_MAX, ATTACHMENTS_BYTES_MAX), (262_144, 5_242_880));
}
