//! Messages to send, after the guide contract's section "Simulator".
//!
//! One generator is advanced from message to message. Every message takes the same number of draws whatever
//! it turns out to be, so the tenth message of a seed is about the same thing on every channel.

use super::draws::{Draws, Purpose};
use crate::channel::Channel;
use crate::payload::{APPLICATION_JSON, Attachment, Payload, TEXT_HTML, TEXT_PLAIN};
use crate::rules::{Dialect, Ruleset};
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
        self.next_of(&[TEXT_PLAIN, TEXT_HTML, APPLICATION_JSON], from, to)
    }

    /// The next message, of a content type that `channel` takes. A channel without rules gets plain text,
    /// which validation refuses there like everything else.
    pub fn next_message_on(&mut self, channel: &Channel, from: &str, to: &str) -> Payload {
        match Ruleset::embedded(Dialect::Guide).pack(channel) {
            Ok(pack) => {
                let types: Vec<&str> =
                    pack.content_types.value.iter().map(String::as_str).collect();
                self.next_of(&types, from, to)
            }
            Err(_) => self.next_of(&[TEXT_PLAIN], from, to),
        }
    }

    fn next_of(&mut self, content_types: &[&str], from: &str, to: &str) -> Payload {
        let content_type = self.draws.pick(content_types, TEXT_PLAIN);
        let number = self.draws.below(10_000);
        let is_attached = self.draws.below(2) == 1;
        let is_image = self.draws.below(2) == 1;
        let content = match content_type {
            TEXT_HTML => json!(format!("<p>Test message {number}</p>")),
            APPLICATION_JSON => json!({ "event": "test", "seq": number.to_string() }),
            _ => json!(format!("Test message {number}")),
        };
        let (mime, filename) = if is_image {
            ("image/png", format!("picture-{number}.png"))
        } else {
            ("application/pdf", format!("document-{number}.pdf"))
        };
        let attachment = Attachment {
            content_type: mime.to_owned(),
            content: None,
            url: Some(format!("https://cdn.example.com/files/{filename}")),
            filename,
        };
        Payload {
            from: from.to_owned(),
            to: vec![to.to_owned()],
            content_type: content_type.to_owned(),
            content,
            attachments: if is_attached { vec![attachment] } else { Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::may_send;
    use crate::rules::AddressForm;
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

    #[test]
    fn five_hundred_messages_of_every_channel_have_no_errors() {
        let rules = Ruleset::embedded(Dialect::Guide);
        for channel in Channel::KNOWN {
            let (from, to) = match rules.pack(&channel).unwrap().recipient_form.value {
                AddressForm::Phone => ("+447700900001", "+447700900141"),
                AddressForm::Email => ("agent@genesys.cloud", "customer@example.com"),
                AddressForm::Opaque => ("agent@genesys.cloud", "visitor-1"),
            };
            let mut simulator = Simulator::new(7);
            for number in 0..500 {
                let payload = simulator.next_message_on(&channel, from, to);
                let findings = validate(&payload, rules, Context::Channel(&channel));
                assert!(may_send(&findings), "message {number} on {channel}: {findings:?}");
            }
        }
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
