//! Who sends it and whom it is for.

use super::{Judge, RECIPIENTS_MAX, all_of, one_of, quoted};
use crate::address::{self, PhoneFault};
use crate::conversation::ROLE_AGENT;
use crate::rules::AddressForm;
use crate::rules::catalogue as rule;
use crate::rules::catalogue::Rule;
use std::collections::HashSet;

/// The rules both fields have, under their own names.
struct Codes {
    empty: &'static Rule,
    too_long: &'static Rule,
    invisible: &'static Rule,
}

const FROM: Codes = Codes {
    empty: &rule::FROM_EMPTY,
    too_long: &rule::FROM_TOO_LONG,
    invisible: &rule::FROM_INVISIBLE,
};
const TO: Codes =
    Codes { empty: &rule::TO_EMPTY, too_long: &rule::TO_TOO_LONG, invisible: &rule::TO_INVISIBLE };

impl Judge<'_> {
    pub(super) fn sender(&mut self) {
        if self.payload.from.is_empty() {
            self.found(&rule::FROM_REQUIRED, "/from", &[]);
            return;
        }
        self.sender_takes_part();
        // Agents may speak from an address of another form than the channel's, so only what no address may hold
        // is refused here; that it is the right one is the conversation's to say.
        self.is_address(&self.payload.from, &FROM, "/from");
    }

    fn sender_takes_part(&mut self) {
        let Some(conversation) = self.context.conversation() else { return };
        let from = self.payload.from.as_str();
        let agent = [ROLE_AGENT.to_owned()];
        let (roles, source) = match self.pack {
            Some(pack) => (&pack.sender_roles.value[..], pack.sender_roles.source.as_str()),
            None => (&agent[..], "guide contract, \"Reading a conversation\""),
        };
        let names: Vec<&str> = roles.iter().map(String::as_str).collect();
        let named = one_of(&names);
        let matches: Vec<_> =
            conversation.participants.iter().filter(|one| one.address == from).collect();
        let senders = match conversation.addresses(roles).as_slice() {
            [] => "Nobody in this conversation may send; choose another conversation.".to_owned(),
            senders => format!("Send as {}.", one_of(senders)),
        };
        let value = quoted(from);
        let known = [
            ("value", value.as_str()),
            ("roles", &named),
            ("senders", &senders),
            ("source", source),
        ];
        match matches.as_slice() {
            [] => self.found(&rule::FROM_NOT_PARTICIPANT, "/from", &known),
            [one] if one.role.trim().is_empty() => {
                self.found(&rule::FROM_ROLE_MISSING, "/from", &known);
            }
            [one] if !roles.contains(&one.role) => {
                let role = quoted(&one.role);
                let values = [&known[..], &[("role", &role)]].concat();
                self.found(&rule::FROM_ROLE, "/from", &values);
            }
            [_] => {}
            several => {
                let count = several.len().to_string();
                let values = [&known[..], &[("count", &count)]].concat();
                self.found(&rule::FROM_AMBIGUOUS, "/from", &values);
            }
        }
    }

    pub(super) fn recipients(&mut self) {
        let recipients = &self.payload.to;
        if recipients.is_empty() {
            self.found(&rule::TO_REQUIRED, "/to", &[]);
        }
        let (max, source) = match self.pack {
            Some(pack) => (pack.recipients_max.value, pack.recipients_max.source.as_str()),
            None => (RECIPIENTS_MAX, "Waybill's own limit"),
        };
        if recipients.len() > max {
            let (count, max) = (recipients.len().to_string(), max.to_string());
            let values = [("count", count.as_str()), ("max", &max), ("source", source)];
            self.found(&rule::TO_TOO_MANY, "/to", &values);
            return;
        }
        let mut seen = HashSet::new();
        for (index, recipient) in recipients.iter().enumerate() {
            let pointer = format!("/to/{index}");
            let value = quoted(recipient);
            if !seen.insert(address::canonical(recipient)) {
                self.found(&rule::TO_DUPLICATE, &pointer, &[("value", &value)]);
            }
            if self.is_address(recipient, &TO, &pointer) {
                self.form(recipient, &pointer, &value);
                self.is_expected(recipient, &pointer, &value);
            }
        }
    }

    /// What holds for every address; false where it is not worth looking at further.
    fn is_address(&mut self, text: &str, codes: &Codes, pointer: &str) -> bool {
        if text.trim().is_empty() {
            self.found(codes.empty, pointer, &[]);
        } else if text.chars().nth(address::CHARS_MAX).is_some() {
            let (count, max) = (text.chars().count().to_string(), address::CHARS_MAX.to_string());
            self.found(codes.too_long, pointer, &[("count", &count), ("max", &max)]);
        } else if let Some(character) = text.chars().find(|one| address::is_invisible(*one)) {
            let value = format!("U+{:04X}", u32::from(character));
            self.found(codes.invisible, pointer, &[("value", &value)]);
        } else {
            return true;
        }
        false
    }

    /// The form the channel's addresses have.
    fn form(&mut self, text: &str, pointer: &str, value: &str) {
        let value = ("value", value);
        match self.pack.map(|pack| pack.recipient_form.value) {
            Some(AddressForm::Phone) => match address::check_phone(text) {
                Ok(()) => {}
                Err(PhoneFault::Form) => self.found(&rule::TO_PHONE, pointer, &[value]),
                Err(PhoneFault::Country) => self.found(&rule::TO_COUNTRY, pointer, &[value]),
                Err(PhoneFault::Length { country, digits, lengths }) => {
                    let (country, count) = (country.to_string(), digits.to_string());
                    let words: Vec<String> = lengths.iter().map(ToString::to_string).collect();
                    let lengths = one_of(&words.iter().map(String::as_str).collect::<Vec<_>>());
                    let values =
                        [value, ("count", &count), ("country", &country), ("lengths", &lengths)];
                    self.found(&rule::TO_PHONE_LENGTH, pointer, &values);
                }
            },
            Some(AddressForm::Email) if !address::is_email(text) => {
                self.found(&rule::TO_EMAIL, pointer, &[value]);
            }
            Some(AddressForm::Email) => {
                let domain = text.rsplit_once('@').map_or(text, |(_, domain)| domain);
                if !domain.contains('.') {
                    self.found(&rule::TO_EMAIL_DOMAIN, pointer, &[value]);
                }
            }
            // Spaces around an identifier are invisible, and no other form lets them pass.
            Some(AddressForm::Opaque) | None if text.trim() != text => {
                self.found(&rule::TO_SPACES, pointer, &[value]);
            }
            Some(AddressForm::Opaque) | None => {}
        }
    }

    /// Whether the conversation expects this recipient.
    fn is_expected(&mut self, recipient: &str, pointer: &str, value: &str) {
        if recipient == self.payload.from {
            self.found(&rule::TO_SENDER, pointer, &[("value", value)]);
        } else if let Some(conversation) = self.context.conversation() {
            let wanted = address::canonical(recipient);
            let takes_part = conversation
                .participants
                .iter()
                .any(|participant| address::canonical(&participant.address) == wanted);
            if !takes_part {
                self.found(&rule::TO_NOT_PARTICIPANT, pointer, &[("value", value)]);
            }
        }
    }

    pub(super) fn content_type(&mut self) {
        let declared = self.payload.content_type.as_str();
        if super::content::type_label(declared).is_none() {
            let value = quoted(declared);
            self.found(&rule::TYPE_UNKNOWN, "/type", &[("value", &value)]);
        } else if let Some(pack) = self.pack
            && !pack.carries(declared)
        {
            let label = |mime| super::content::type_label(mime).unwrap_or(mime);
            let types: Vec<&str> =
                pack.content_types.value.iter().map(|one| label(one.as_str())).collect();
            let types = all_of(&types);
            let values = [
                ("channel", pack.channel.label()),
                ("type", label(declared)),
                ("types", &types),
                ("source", &pack.content_types.source),
            ];
            self.found(&rule::TYPE_CHANNEL, "/type", &values);
        }
    }
}
