//! Messages made to break a rule: every rule that payloads have, in an order drawn anew for each round.
//!
//! What breaks a rule is the catalogue's bad example, or one of the further ones here, laid over a message that
//! would have been good. Whether it really broke the rule is asked of [`crate::validate`]; where it did not (an SMS
//! rule on e-mail), the catalogue's example goes out as it is. So each message breaks the rule it names.

use super::draws::{Draws, Purpose};
use crate::channel::Channel;
use crate::conversation::Conversation;
use crate::finding::may_send;
use crate::payload::Payload;
use crate::rules::catalogue::{RULES, Rule, Subject};
use crate::rules::example::{self, merge, repeated};
use crate::rules::{Dialect, Ruleset};
use crate::validate::{Context, validate};
use serde_json::{Value, json};

/// An example of more bytes than this comes up in one round of [`LARGE_EVERY`] only: a few of them weigh more than
/// thousands of others.
const LARGE_BYTES: usize = 64 * 1024;
const LARGE_EVERY: u64 = 64;

/// A message that breaks a rule.
pub(super) struct Broken {
    pub rule: &'static Rule,
    pub dialect: Dialect,
    pub conversation: Conversation,
    pub payload: Payload,
    /// True where nothing but warnings stands against sending it to the conversation it was drawn for.
    pub may_be_sent: bool,
}

/// The rules still to be broken in this round.
#[derive(Clone, Debug)]
pub(super) struct Hostile {
    seed: u64,
    percent: u32,
    rounds: u64,
    left: Vec<&'static Rule>,
}

/// A rule to be broken, and the numbers that say how.
pub(super) struct Intent {
    pub rule: &'static Rule,
    /// The channel it is best broken on, where one is preferred.
    pub channel: Option<Channel>,
    draws: Draws,
}

impl Hostile {
    pub(super) fn new(seed: u64, percent: u32) -> Self {
        Self { seed, percent, rounds: 0, left: Vec::new() }
    }

    /// What message number `index` is to break, if anything.
    pub(super) fn intent(&mut self, index: u64) -> Option<Intent> {
        let mut draws = Draws::new(Purpose::Hostile, self.seed, [0; 16], index);
        if draws.below(100) >= self.percent {
            return None;
        }
        let prefers_channel = draws.below(2) == 0;
        if self.left.is_empty() {
            self.left = round(self.seed, self.rounds);
            self.rounds += 1;
        }
        let rule = self.left.pop()?;
        let channel = prefers_channel.then(|| Channel::parse(rule.bad.channel));
        Some(Intent { rule, channel, draws })
    }
}

/// The rules of round number `number`, shuffled.
fn round(seed: u64, number: u64) -> Vec<&'static Rule> {
    let mut draws = Draws::new(Purpose::Hostile, seed, [1; 16], number);
    let is_wanted = |rule: &&Rule| {
        rule.subject != Subject::Template
            && (number.is_multiple_of(LARGE_EVERY) || !is_large(rule.bad.patch))
    };
    let mut rules: Vec<&'static Rule> = RULES.iter().copied().filter(is_wanted).collect();
    for last in (1..rules.len()).rev() {
        let end = u32::try_from(last + 1).unwrap_or(u32::MAX);
        rules.swap(last, usize::try_from(draws.below(end)).unwrap_or(0));
    }
    rules
}

/// Whether a patch is more than a few kilobytes once it is written out, without writing it out.
fn is_large(patch: &str) -> bool {
    fn bytes(value: &Value) -> usize {
        match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(fields) => match (fields.get("repeat"), fields.get("of")) {
                (Some(times), Some(of)) => {
                    let times = times.as_u64().and_then(|one| usize::try_from(one).ok());
                    times.unwrap_or(0).saturating_mul(bytes(of))
                }
                _ => fields.values().map(bytes).sum(),
            },
            _ => 0,
        }
    }
    serde_json::from_str(patch).is_ok_and(|patch| bytes(&patch) > LARGE_BYTES)
}

impl Intent {
    /// Breaks the rule on a message that would have been good.
    pub(super) fn carry_out(
        mut self,
        rules: &Ruleset,
        conversation: &Conversation,
        payload: &Payload,
    ) -> Broken {
        let bad = &self.rule.bad;
        let exact = self.draws.below(4) == 0 || is_large(bad.patch);
        let patch = self.draws.pick(further(self.rule.code), bad.patch);
        let patch = if self.draws.below(3) == 0 { bad.patch } else { patch };
        let channel = self.draws.pick(&["fax", "pager", "telegram", "sms2", "voice"], "fax");
        let conversations = if exact {
            Vec::new()
        } else {
            vec![
                (conversation.clone(), true),
                (example::conversation(&conversation.channel), false),
            ]
        };
        let own = if rules.dialect == bad.dialect { rules } else { Ruleset::embedded(bad.dialect) };
        for (mut conversation, is_drawn) in conversations {
            let mut payload = json!(payload);
            if !is_drawn {
                let plain = example::payload(&conversation.channel);
                payload["from"] = json!(plain.from);
                payload["to"] = json!(plain.to);
            }
            let mut patch = serde_json::from_str(patch).map_or(Value::Null, repeated);
            let more = patch.as_object_mut().and_then(|all| all.remove("conversation"));
            merge(&mut payload, patch);
            if let Some(more) = more {
                let mut changed = json!(conversation);
                merge(&mut changed, more);
                let Ok(changed) = serde_json::from_value(changed) else { continue };
                conversation = changed;
            }
            if self.rule.subject == Subject::Channel && bad.dialect == Dialect::Guide {
                conversation.channel = Channel::parse(channel);
            }
            let Ok(payload) = serde_json::from_value::<Payload>(payload) else { continue };
            let findings = validate(&payload, own, Context::Conversation(&conversation));
            if findings.iter().any(|one| one.code == self.rule.code) {
                let may_be_sent = is_drawn && bad.dialect == rules.dialect && may_send(&findings);
                let dialect = bad.dialect;
                return Broken { rule: self.rule, dialect, conversation, payload, may_be_sent };
            }
        }
        let case = bad.case();
        let payload = case.payload().unwrap_or_default();
        let (dialect, conversation) = (case.dialect, case.conversation);
        Broken { rule: self.rule, dialect, conversation, payload, may_be_sent: false }
    }
}

/// Further ways to break a rule, as patches like those of the catalogue's examples.
fn further(code: &str) -> &'static [&'static str] {
    match code {
        "from.empty" => &[r#"{"from":"\t"}"#, r#"{"from":"  \u00a0 "}"#],
        "from.invisible" => &[
            r#"{"from":"+4477009\u200d00001"}"#,
            r#"{"from":"service\r\n@example.com"}"#,
            r#"{"from":"\ufeffagent@example.com"}"#,
        ],
        "to.empty" => &[r#"{"to":[""]}"#, r#"{"to":["   "]}"#],
        "to.spaces" => &[r#"{"to":[" visitor-1"]}"#, r#"{"to":["visitor 1\u3000"]}"#],
        "to.invisible" => &[
            r#"{"to":["+4477009\r\n00141"]}"#,
            r#"{"to":["customer@exam\u00adple.com"]}"#,
            r#"{"to":["visitor\u0000-1"]}"#,
        ],
        "to.phone" => &[
            r#"{"to":["0044 7700 900141"]}"#,
            r#"{"to":["+44 7700 900141"]}"#,
            r#"{"to":["+0447700900141"]}"#,
            r#"{"to":["tel:+447700900141"]}"#,
            r#"{"to":["+４４７７００９００１４１"]}"#,
            r#"{"to":["customer@example.com"]}"#,
        ],
        "to.country" => &[r#"{"to":["+2105550123"]}"#, r#"{"to":["+9795550"]}"#],
        "to.phone_length" => &[r#"{"to":["+4477009001"]}"#, r#"{"to":["+120255501234"]}"#],
        "to.email" => &[
            r#"{"to":["customer@"]}"#,
            r#"{"to":["@example.com"]}"#,
            r#"{"to":["Robin <robin@example.com>"]}"#,
            r#"{"to":["robin@example.com, kim@example.com"]}"#,
            r#"{"to":["robin@exam_ple.com"]}"#,
        ],
        "type.unknown" => &[
            r#"{"type":"TEXT/PLAIN"}"#,
            r#"{"type":"text"}"#,
            r#"{"type":""}"#,
            r#"{"type":"multipart/mixed"}"#,
        ],
        "type.channel" => &[r#"{"type":"application/json","content":{"event":1}}"#],
        "content.not_text" => {
            &[r#"{"content":7}"#, r#"{"content":["a","b"]}"#, r#"{"content":true}"#]
        }
        "content.empty" => &[r#"{"content":""}"#, r#"{"content":"\n\t \u2003"}"#],
        "content.nul" => &[r#"{"content":"\u0000"}"#, r#"{"content":"to be continued\u0000"}"#],
        "content.control" => &[r#"{"content":"\u001b[31mred"}"#, r#"{"content":"a\u0085b"}"#],
        "content.direction" => &[r#"{"content":"\u202dabc"}"#, r#"{"content":"user\u2066 admin"}"#],
        "content.placeholder" => &[r#"{"content":"{{ order }} is ready"}"#],
        "content.markup" => &[r#"{"content":"<p>Hello</p>"}"#, r#"{"content":"a<br/>b"}"#],
        "html.empty" => &[
            r#"{"type":"text/html","content":"<div><span></span></div>"}"#,
            r#"{"type":"text/html","content":"<!-- later -->"}"#,
        ],
        "html.active" => &[
            r#"{"type":"text/html","content":"<img src=x onerror=go()>Hello"}"#,
            r#"{"type":"text/html","content":"<a href=\"javascript:go()\">Hello</a>"}"#,
            r#"{"type":"text/html","content":"<iframe src=\"https://example.com\"></iframe>Hello"}"#,
            r#"{"type":"text/html","content":"<form action=\"/\"><input>Hello</form>"}"#,
        ],
        "attachment.source" => &[
            r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgoAAAAN","url":"https://cdn.example.com/a.png"}]}"#,
        ],
        "attachment.type" => &[
            r#"{"attachments":[{"type":"application/x-msdownload","filename":"setup.exe","url":"https://cdn.example.com/setup.exe"}]}"#,
            r#"{"attachments":[{"type":"image/PNG","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#,
        ],
        "attachment.channel" => &[
            r#"{"attachments":[{"type":"video/3gpp","filename":"clip.3gp","content":"AAAAFGZ0eXAzZ3A1AAAAAA=="}]}"#,
            r#"{"attachments":[{"type":"text/csv","filename":"a.csv","content":"YSxiCg=="}]}"#,
        ],
        "attachment.extension" => &[
            r#"{"attachments":[{"type":"image/jpeg","filename":"photo","url":"https://cdn.example.com/1"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"photo.png.jpg","url":"https://cdn.example.com/1"}]}"#,
        ],
        "attachment.filename" => &[
            r#"{"attachments":[{"type":"image/png","filename":"C:\\a.png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"CON.png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"invoice.exe.png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"gnp\u202e.png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":".png","url":"https://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"","url":"https://cdn.example.com/a.png"}]}"#,
        ],
        "attachment.base64" => &[
            r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBO Rw0K"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"_-__"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"QUJ="}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"data:image/png;base64,iVBORw0KGgoAAAAN"}]}"#,
        ],
        "attachment.bytes" => &[
            r#"{"attachments":[{"type":"application/pdf","filename":"a.pdf","content":"PGh0bWw+"}]}"#,
            r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":"QQBC"}]}"#,
        ],
        "attachment.url" => &[
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"http://cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"file:///etc/passwd"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://user@cdn.example.com/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://[::ffff:7f00:1]/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://2130706433/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://printer.local/a.png"}]}"#,
            r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com:8443/a.png"}]}"#,
        ],
        _ => &[],
    }
}
