//! What must hold for every payload, however odd.

use super::*;
use crate::finding::{Severity, may_send};
use crate::json;
use crate::payload::Attachment;
use crate::rules::{Dialect, FILE_TYPES, Narrowing, example};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Text that is often near something a rule looks at.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~]{0,40}",
        1 => "\\PC{0,30}",
        1 => any::<String>(),
        1 => prop::sample::select(vec![
            "", " ", "+447700900141", "+447700900001", "customer@example.com", "visitor-1", "agent@example.com",
            "text/plain", "text/html", "application/json", "<p>Hello</p>", "<script>", "{{name}}", "{{", "a\0b",
            "\u{202e}", "image/png", "a.png", "https://cdn.example.com/a.png", "iVBORw0KGgoAAAAN", "QUFB", "CON",
        ]).prop_map(str::to_owned),
        1 => ("[aж😀€é]", 1..900usize).prop_map(|(of, times)| of.repeat(times)),
    ]
}

fn content() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        6 => text().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
        1 => prop::collection::btree_map(text(), text(), 0..3)
            .prop_map(|fields| serde_json::json!(fields)),
        1 => any::<i64>().prop_map(serde_json::Value::from),
    ]
}

fn content_type() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("text/plain".to_owned()),
        2 => Just("text/html".to_owned()),
        1 => Just("application/json".to_owned()),
        1 => text(),
    ]
}

fn attachment() -> impl Strategy<Value = Attachment> {
    let mime = prop::sample::select(FILE_TYPES.iter().map(|one| one.mime).collect::<Vec<_>>());
    let content_type = prop_oneof![3 => mime.prop_map(str::to_owned), 1 => text()];
    (content_type, text(), prop::option::of(text()), prop::option::of(text())).prop_map(
        |(content_type, filename, content, url)| Attachment {
            content_type,
            filename,
            content,
            url,
        },
    )
}

fn payload() -> impl Strategy<Value = Payload> {
    let parties = prop::collection::vec(text(), 0..4);
    let files = prop::collection::vec(attachment(), 0..3);
    (text(), parties, content_type(), content(), files).prop_map(
        |(from, to, content_type, content, attachments)| Payload {
            from,
            to,
            content_type,
            content,
            attachments,
        },
    )
}

fn channel() -> impl Strategy<Value = Channel> {
    let mut all = Channel::KNOWN.to_vec();
    all.push(Channel::Unknown("pigeon".into()));
    prop::sample::select(all)
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn findings_are_ordered_explained_and_point_into_the_payload(
        payload in payload(), channel in channel(), dialect in dialect(),
    ) {
        let rules = Ruleset::embedded(dialect);
        let conversation = example::conversation(&channel);
        let context = Context::Conversation(&conversation);
        let findings = validate(&payload, rules, context);
        prop_assert_eq!(&findings, &validate(&payload, rules, context));
        prop_assert!(findings.is_sorted_by_key(|one| one.severity));
        let written = String::from_utf8(payload.to_bytes()).unwrap();
        for one in &findings {
            let rule = catalogue::find(&one.code).unwrap();
            prop_assert_eq!(rule.severity, one.severity);
            prop_assert!(![&one.what, &one.why, &one.how, &one.pack].iter().any(|text| text.is_empty()));
            prop_assert!(json::locate(&written, &one.pointer).is_some(), "{}", one.pointer);
            prop_assert!(one.what.len() + one.why.len() + one.how.len() < 2_500, "{one:?}");
        }
        let checks = checklist(&payload, rules, context, &findings);
        let failed: usize = checks
            .iter()
            .map(|(_, outcome)| if let Outcome::Fail(times) = outcome { *times } else { 0 })
            .sum();
        prop_assert_eq!(failed, findings.len());
    }

    /// Who knows more finds no less: what may be sent into a conversation may be sent on its channel, and what
    /// may be sent on a channel breaks no rule of every channel.
    #[test]
    fn knowing_more_never_allows_more(
        payload in payload(), channel in channel(), dialect in dialect(),
    ) {
        let rules = Ruleset::embedded(dialect);
        let conversation = example::conversation(&channel);
        let [in_conversation, on_channel, unread] =
            [Context::Conversation(&conversation), Context::Channel(&channel), Context::Unread]
                .map(|context| may_send(&validate(&payload, rules, context)));
        prop_assert!(!in_conversation || on_channel);
        prop_assert!(!on_channel || unread);
    }

    #[test]
    fn a_narrowed_pack_never_allows_more(
        payload in payload(), channel in channel(), text_max in 1..2_000usize, recipients_max in 1..4usize,
        attachments_max in 0..3usize, bytes_max in 1..100usize,
        media in prop::sample::subsequence(vec!["image/*", "application/pdf", "text/*", "audio/*"], 0..4),
    ) {
        let shipped = Ruleset::embedded(Dialect::Guide);
        let most = shipped.pack(&channel).ok().and_then(|pack| pack.text.as_ref()).map_or(text_max, |one| one.max);
        let narrowing = Narrowing {
            text_max: Some(text_max.min(most)),
            recipients_max: Some(recipients_max),
            attachments_max: Some(attachments_max),
            attachment_bytes_max: Some(bytes_max),
            attachments_bytes_max: Some(bytes_max),
            media_types: Some(media.into_iter().map(str::to_owned).collect()),
            ..Narrowing::default()
        };
        let narrowed = shipped.narrowed(&BTreeMap::from([(channel.clone(), narrowing)])).unwrap();
        let context = Context::Channel(&channel);
        let before = may_send(&validate(&payload, shipped, context));
        let after = may_send(&validate(&payload, &narrowed, context));
        prop_assert!(!after || before);
    }

    /// One more character never makes a text fit that did not.
    #[test]
    fn limits_are_monotone(channel in channel(), of in "[aж😀€é]", times in 0..2_100usize) {
        let rules = Ruleset::embedded(Dialect::Guide);
        let over = |times: usize| {
            let payload = Payload { content: of.repeat(times).into(), ..example::payload(&channel) };
            validate(&payload, rules, Context::Channel(&channel))
                .iter()
                .any(|one| one.severity == Severity::Error && one.pointer == "/content" && one.code != "content.empty")
        };
        prop_assert!(!over(times) || over(times + 1));
    }

    /// What a template is filled with is data: it breaks no JSON, opens no tag and leaves no hole.
    #[test]
    fn filled_templates_hold_their_values_escaped(value in text(), name in "[a-z]{1,8}") {
        let place = format!("{{{{{name}}}}}");
        let values = BTreeMap::from([(name, value.clone())]);
        let of = |content_type: &str, content: serde_json::Value| {
            let template = Payload { content_type: content_type.into(), content, ..example::payload(&Channel::Email) };
            crate::template::fill(&template, &values)
        };
        let html = of("text/html", format!("<p>{place}</p>").into());
        let inside = html.payload.text().unwrap();
        let inside = inside.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>")).unwrap();
        prop_assert!(!inside.contains(['<', '>', '"', '\'']));
        prop_assert!(html.findings.is_empty());
        let json = of("application/json", serde_json::json!({"a": [place.clone()]}));
        prop_assert_eq!(json.payload.content, serde_json::json!({"a": [value.clone()]}));
        let text = of("text/plain", format!("{place}!").into());
        prop_assert_eq!(text.payload.text().unwrap(), format!("{value}!"));
    }
}
