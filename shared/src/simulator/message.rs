//! Messages to send, after the guide contract's section "Simulator".
//!
//! One generator is advanced from message to message. Every message takes the same number of draws whatever
//! it turns out to be, so the tenth message of a seed is about the same thing on every channel.

use super::draws::{Draws, Purpose};
use super::files;
use super::text::Room;
use crate::channel::Channel;
use crate::payload::{APPLICATION_JSON, Attachment, Payload, TEXT_HTML, TEXT_PLAIN};
use crate::rules::{Pack, Ruleset, file_type};
use serde_json::json;

/// An endless sequence of test messages; the same seed gives the same one.
#[derive(Clone, Debug)]
pub struct Simulator {
    draws: Draws,
}

impl Simulator {
    /// The sequence of `seed`, from its first message.
    pub fn new(seed: u64) -> Self {
        Self { draws: Draws::new(Purpose::Messages, seed, [0; 16], 0) }
    }

    /// The next message, of any of the three content types.
    pub fn next_message(&mut self, from: &str, to: &str) -> Payload {
        self.next_of(&[TEXT_PLAIN, TEXT_HTML, APPLICATION_JSON], None, from, to)
    }

    /// The next message, of what `channel` takes under these rules: its content types, its media by address or by
    /// value, a text of no more than its limit. A channel without rules gets plain text, which validation refuses
    /// there like everything else.
    pub fn next_message_on(
        &mut self,
        rules: &Ruleset,
        channel: &Channel,
        from: &str,
        to: &str,
    ) -> Payload {
        match rules.pack(channel) {
            Ok(pack) => {
                let types: Vec<&str> =
                    pack.content_types.value.iter().map(String::as_str).collect();
                self.next_of(&types, Some(pack), from, to)
            }
            Err(_) => self.next_of(&[TEXT_PLAIN], None, from, to),
        }
    }

    fn next_of(
        &mut self,
        content_types: &[&str],
        pack: Option<&Pack>,
        from: &str,
        to: &str,
    ) -> Payload {
        let content_type = self.draws.pick(content_types, TEXT_PLAIN);
        let number = self.draws.below(10_000);
        let is_attached = self.draws.below(2) == 1;
        let is_image = self.draws.below(2) == 1;
        let content = match content_type {
            TEXT_HTML => json!(fitted(&format!("<p>Test message {number}</p>"), number, pack)),
            APPLICATION_JSON => json!({ "event": "test", "seq": number.to_string() }),
            _ => json!(fitted(&format!("Test message {number}"), number, pack)),
        };
        let mime = if is_image { "image/png" } else { "application/pdf" };
        let attachment = is_attached.then(|| attached(mime, number, pack)).flatten();
        Payload {
            from: from.to_owned(),
            to: vec![to.to_owned()],
            content_type: content_type.to_owned(),
            content,
            attachments: attachment.into_iter().collect(),
        }
    }
}

/// `text`, or as much of the number alone as there is room for.
fn fitted(text: &str, number: u32, pack: Option<&Pack>) -> String {
    match pack.map(Room::on) {
        Some(room) if !room.holds(text) => room.cut(&number.to_string()).to_owned(),
        _ => text.to_owned(),
    }
}

/// A file of the type `mime`, or of another where the channel does not carry that; `None` where it carries none.
fn attached(mime: &str, number: u32, pack: Option<&Pack>) -> Option<Attachment> {
    let Some(pack) = pack else {
        let kind = file_type(mime)?;
        return Some(files::by_address(kind, &files::name(kind, number)));
    };
    if pack.attachments_max.value == 0 {
        return None;
    }
    let alternatives = [mime, "image/png", "application/pdf"];
    let kind = alternatives.into_iter().find(|one| pack.media(one).is_some()).and_then(file_type);
    let kind = kind.or_else(|| files::substitute(pack))?;
    let filename = files::name(kind, number);
    if pack.urls.value {
        Some(files::by_address(kind, &filename))
    } else {
        files::smallest(kind, &filename, pack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::may_send;
    use crate::rules::{AddressForm, Dialect, Narrowing};
    use crate::simulator::assert_snapshot;
    use crate::validate::{Context, validate};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn seed_42_gives_the_committed_messages() {
        let mut simulator = Simulator::new(42);
        let made: String = (0..40)
            .map(|_| simulator.next_message("agent@genesys.cloud", "customer@example.com"))
            .map(|payload| String::from_utf8(payload.to_bytes()).unwrap() + "\n")
            .collect();
        assert_snapshot(
            "simulator-seed-42.jsonl",
            include_str!("../../snapshots/simulator-seed-42.jsonl"),
            &made,
        );
    }

    /// What of five hundred messages on every channel of `rules` must not be sent.
    fn refused(rules: &Ruleset) -> Vec<String> {
        let mut refused = Vec::new();
        for pack in &rules.packs {
            let channel = &pack.channel;
            let (from, to) = match pack.recipient_form.value {
                AddressForm::Phone => ("+447700900001", "+447700900141"),
                AddressForm::Email => ("agent@genesys.cloud", "customer@example.com"),
                AddressForm::Opaque => ("agent@genesys.cloud", "visitor-1"),
            };
            let mut simulator = Simulator::new(7);
            let mut attached = 0;
            for number in 0..500 {
                let payload = simulator.next_message_on(rules, channel, from, to);
                attached += payload.attachments.len();
                let findings = validate(&payload, rules, Context::Channel(channel));
                if !may_send(&findings) {
                    refused.push(format!("message {number} on {channel}: {findings:?}"));
                }
            }
            assert!((200..300).contains(&attached), "{attached} on {channel}");
        }
        refused
    }

    #[test]
    fn five_hundred_messages_of_every_channel_and_dialect_have_no_errors() {
        for dialect in Dialect::ALL {
            assert_eq!(refused(Ruleset::embedded(dialect)), [""; 0]);
        }
    }

    #[test]
    fn where_only_pictures_or_hardly_any_text_may_go_that_is_what_is_made() {
        let narrowing = Narrowing {
            text_max: Some(3),
            media_types: Some(vec!["image/webp".into()]),
            ..Narrowing::default()
        };
        let all = [Channel::Whatsapp, Channel::Email, Channel::Sms];
        let rules = Ruleset::embedded(Dialect::Guide)
            .narrowed(&all.into_iter().map(|channel| (channel, narrowing.clone())).collect())
            .unwrap();
        assert_eq!(refused(&rules), [""; 0]);
    }

    #[test]
    fn all_kinds_come_up_and_the_sequence_moves_on() {
        let mut simulator = Simulator::new(3);
        let all: Vec<Payload> = (0..300).map(|_| simulator.next_message("a", "b")).collect();
        for content_type in [TEXT_PLAIN, TEXT_HTML, APPLICATION_JSON] {
            let count = all.iter().filter(|one| one.content_type == content_type).count();
            assert!((70..130).contains(&count), "{content_type}: {count}");
        }
        let attached = all.iter().filter(|one| !one.attachments.is_empty()).count();
        assert!((110..190).contains(&attached), "{attached}");
        assert_ne!(all[0], all[1]);
        assert_ne!(Simulator::new(4).next_message("a", "b"), all[0]);
    }
}
