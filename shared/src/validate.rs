//! The rules: payload plus what is known of its channel and conversation → every finding.
//!
//! Nothing fails open. What the rules cannot recognise (a channel, a sender, a content type) is a finding,
//! never a pass. Findings come in a fixed order: errors before warnings, and within them in the order of the
//! payload's fields, so that page, proxy and command line show the same list.

use crate::channel::{self, AddressForm, Channel, ChannelRules};
use crate::conversation::{Conversation, ROLE_AGENT};
use crate::finding::{Finding, Severity};
use crate::payload::{self, Attachment, Payload};
use crate::sms;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Most recipients of one payload.
pub const RECIPIENTS_MAX: usize = 1_000;
/// Most attachments of one payload.
pub const ATTACHMENTS_MAX: usize = 50;
/// Most bytes of content, as text or as JSON.
pub const CONTENT_BYTES_MAX: usize = 256 * 1024;
/// Most decoded bytes of all attachments together: with base64 and content it stays under the body limit.
pub const ATTACHMENTS_BYTES_MAX: usize = 5 * 1024 * 1024;
/// Longest address in characters.
const ADDRESS_CHARS_MAX: usize = 320;
/// Longest file name in bytes.
const FILENAME_BYTES_MAX: usize = 255;

const GUIDE_PAYLOAD: &str = "guide contract, \"Message payload\"";
const GUIDE_CONVERSATION: &str = "guide contract, \"Reading a conversation\"";

/// What a payload is judged against.
#[derive(Clone, Copy, Debug)]
pub enum Context<'a> {
    /// The channel's rules alone.
    Channel(&'a Channel),
    /// The channel's rules and who is in the conversation.
    Conversation(&'a Conversation),
    /// A conversation nobody has read yet: only the rules that hold on every channel. Dispatch judges again
    /// once it has been read.
    Unread,
}

impl<'a> Context<'a> {
    fn channel(self) -> Option<&'a Channel> {
        match self {
            Context::Channel(channel) => Some(channel),
            Context::Conversation(conversation) => Some(&conversation.channel),
            Context::Unread => None,
        }
    }
}

/// Every finding about `payload`, errors first.
pub fn validate(payload: &Payload, context: Context) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    let channel = context.channel();
    let rules = channel.and_then(Channel::rules);
    if let Some(channel) = channel
        && rules.is_none()
    {
        findings.error(
            "channel.unknown",
            "",
            format!("The channel \"{channel}\" is not known"),
            format!("Only channels with rules can be sent on ({GUIDE_CONVERSATION})."),
            "Choose a conversation on SMS, e-mail, web messaging, WhatsApp or open messaging."
                .into(),
        );
    }
    if let Context::Conversation(conversation) = context {
        if let Some(ended_at) = conversation.ended_at {
            findings.error(
                "conversation.ended",
                "",
                "This conversation has ended".into(),
                format!("It ended at {ended_at}; the platform takes no more messages for it."),
                "Choose a conversation that is still open.".into(),
            );
        }
        sender_takes_part(payload, conversation, &mut findings);
    }
    sender(payload, rules.as_ref(), &mut findings);
    recipients(payload, rules.as_ref(), &mut findings);
    content_type(payload, channel, rules.as_ref(), &mut findings);
    content(payload, channel, &mut findings);
    attachments(payload, channel, rules.as_ref(), &mut findings);
    // Stable: within a severity the order above stays.
    findings.0.sort_by_key(|finding| finding.severity);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, code: &str, pointer: &str, what: String, why: String, how: String) {
        self.push(Severity::Error, code, pointer, what, why, how);
    }

    fn warning(&mut self, code: &str, pointer: &str, what: String, why: String, how: String) {
        self.push(Severity::Warning, code, pointer, what, why, how);
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &str,
        pointer: &str,
        what: String,
        why: String,
        how: String,
    ) {
        let (code, pointer) = (code.to_owned(), pointer.to_owned());
        self.0.push(Finding { code, pointer, severity, what, why, how });
    }
}

fn sender_takes_part(payload: &Payload, conversation: &Conversation, findings: &mut Findings) {
    if payload.from.is_empty() {
        return;
    }
    let matches: Vec<_> =
        conversation.participants.iter().filter(|one| one.address == payload.from).collect();
    let how = match conversation.senders().as_slice() {
        [] => "Nobody in this conversation may send; choose another conversation.".to_owned(),
        senders => format!("Send as {}.", senders.join(" or ")),
    };
    let why = format!(
        "The sender must be exactly one participant with the role agent ({GUIDE_CONVERSATION})."
    );
    match matches.as_slice() {
        [] => findings.error(
            "from.not_participant",
            "/from",
            format!("{} does not take part in this conversation", quoted(&payload.from)),
            why,
            how,
        ),
        [one] if one.role != ROLE_AGENT => findings.error(
            "from.role",
            "/from",
            if one.role.is_empty() {
                format!("{} has no role in this conversation", quoted(&payload.from))
            } else {
                format!("{} is {}, not agent", quoted(&payload.from), quoted(&one.role))
            },
            why,
            how,
        ),
        [_] => {}
        several => findings.error(
            "from.ambiguous",
            "/from",
            format!("{} participants speak as {}", several.len(), quoted(&payload.from)),
            why,
            "Choose a sender that is in the conversation once.".into(),
        ),
    }
}

fn sender(payload: &Payload, rules: Option<&ChannelRules>, findings: &mut Findings) {
    if payload.from.is_empty() {
        findings.error(
            "from.required",
            "/from",
            "The sender is missing".into(),
            format!("Every message has a sender ({GUIDE_PAYLOAD})."),
            "Choose who sends it.".into(),
        );
    } else {
        // Agents on phone channels may speak from an address of another form, so only what no address may
        // hold is refused here; that it is the right one is the conversation's to say.
        let form = rules.map(|_| AddressForm::Opaque);
        address(&payload.from, form, "from", "/from", findings);
    }
}

fn recipients(payload: &Payload, rules: Option<&ChannelRules>, findings: &mut Findings) {
    if payload.to.is_empty() {
        findings.error(
            "to.required",
            "/to",
            "There is no recipient".into(),
            format!("A message goes to at least one recipient ({GUIDE_PAYLOAD})."),
            "Add a recipient.".into(),
        );
    }
    if payload.to.len() > RECIPIENTS_MAX {
        findings.error(
            "to.too_many",
            "/to",
            format!("{} recipients are more than {RECIPIENTS_MAX}", payload.to.len()),
            "One payload is limited so that it can be checked and followed.".into(),
            format!("Send to at most {RECIPIENTS_MAX} at a time."),
        );
        return;
    }
    let mut seen = std::collections::HashSet::new();
    for (index, recipient) in payload.to.iter().enumerate() {
        let pointer = format!("/to/{index}");
        if !seen.insert(recipient.as_str()) {
            findings.error(
                "to.duplicate",
                &pointer,
                format!("{} is in the list twice", quoted(recipient)),
                "Nobody should get the same message twice.".into(),
                "Remove one of them.".into(),
            );
        }
        address(recipient, rules.map(|rules| rules.address_form), "to", &pointer, findings);
    }
}

fn address(
    text: &str,
    form: Option<AddressForm>,
    field: &str,
    pointer: &str,
    findings: &mut Findings,
) {
    let mut found = |code: &str, what: String, why: &str, how: &str| {
        findings.error(&format!("{field}.{code}"), pointer, what, why.into(), how.into());
    };
    if text.trim().is_empty() {
        found(
            "empty",
            "The address is empty".into(),
            "An empty address reaches nobody.",
            "Fill it in or remove it.",
        );
    } else if text.chars().count() > ADDRESS_CHARS_MAX {
        found(
            "too_long",
            format!("The address has {} characters", text.chars().count()),
            "No channel has addresses of more than 320 characters.",
            "Check what was pasted.",
        );
    } else if let Some(character) = text.chars().find(|character| is_invisible(*character)) {
        found(
            "invisible",
            format!("The address holds the invisible character U+{:04X}", u32::from(character)),
            "Control, zero-width and direction characters make an address look like another.",
            "Type the address again by hand.",
        );
    } else {
        match form {
            Some(AddressForm::Phone) if !is_phone(text) => found(
                "phone",
                format!("{} is not a phone number in international form", quoted(text)),
                "Phone channels take E.164: + and 7 to 15 digits, the first not 0 (ITU-T E.164).",
                "Write it like +447700900141, without spaces.",
            ),
            Some(AddressForm::Email) if !is_email(text) => found(
                "email",
                format!("{} is not an e-mail address", quoted(text)),
                "E-mail takes name@domain as the HTML standard defines it.",
                "Write it like customer@example.com.",
            ),
            _ => {}
        }
    }
}

fn content_type(
    payload: &Payload,
    channel: Option<&Channel>,
    rules: Option<&ChannelRules>,
    findings: &mut Findings,
) {
    let known = [payload::TEXT_PLAIN, payload::TEXT_HTML, payload::APPLICATION_JSON];
    let declared = payload.content_type.as_str();
    if !known.contains(&declared) {
        findings.error(
            "type.unknown",
            "/type",
            format!("{} is not a content type a message can have", quoted(declared)),
            format!("It is text/plain, text/html or application/json, in lower case and without parameters ({GUIDE_PAYLOAD})."),
            "Choose one of the three.".into(),
        );
    } else if let (Some(channel), Some(rules)) = (channel, rules)
        && !rules.content_types.contains(&declared)
    {
        findings.error(
            "type.channel",
            "/type",
            format!("{} cannot carry {}", channel.label(), type_label(declared)),
            format!("{} takes {} ({GUIDE_CONVERSATION}).", channel.label(), list_types(rules)),
            "Write it as plain text.".into(),
        );
    }
}

fn type_label(mime: &str) -> &str {
    match mime {
        payload::TEXT_PLAIN => "plain text",
        payload::TEXT_HTML => "HTML",
        payload::APPLICATION_JSON => "JSON",
        other => other,
    }
}

fn list_types(rules: &ChannelRules) -> String {
    rules.content_types.iter().map(|mime| type_label(mime)).collect::<Vec<_>>().join(" and ")
}

fn content(payload: &Payload, channel: Option<&Channel>, findings: &mut Findings) {
    let pointer = "/content";
    let bytes = match &payload.content {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    if bytes > CONTENT_BYTES_MAX {
        findings.error(
            "content.too_long",
            pointer,
            format!("The content has {bytes} bytes"),
            format!("A message says at most {CONTENT_BYTES_MAX} bytes."),
            "Shorten it, or attach the long part as a file.".into(),
        );
    }
    if payload.content_type == payload::APPLICATION_JSON {
        if payload.content.is_null() {
            findings.error(
                "content.empty",
                pointer,
                "The JSON content is null".into(),
                format!("A message has content ({GUIDE_PAYLOAD})."),
                "Write the value to be sent.".into(),
            );
        }
        return;
    }
    let Value::String(text) = &payload.content else {
        findings.error(
            "content.not_text",
            pointer,
            format!("The content is {}, not text", json_kind(&payload.content)),
            format!("The text types take a string ({GUIDE_PAYLOAD})."),
            "Put the text in quotes, or choose application/json.".into(),
        );
        return;
    };
    if text.trim().is_empty() {
        findings.error(
            "content.empty",
            pointer,
            if text.is_empty() {
                "There is no text".into()
            } else {
                "The text is only white space".to_owned()
            },
            format!("A message has content ({GUIDE_PAYLOAD})."),
            "Write what is to be said.".into(),
        );
    }
    if text.contains('\0') {
        findings.error(
            "content.nul",
            pointer,
            "The text holds a NUL character".into(),
            "NUL ends a text for many receivers, so the rest would be lost.".into(),
            "Remove it.".into(),
        );
    }
    if channel == Some(&Channel::Sms) && payload.content_type == payload::TEXT_PLAIN {
        sms_parts(text, findings);
    }
}

fn sms_parts(text: &str, findings: &mut Findings) {
    let parts = sms::parts(text);
    if parts.count < 2 {
        return;
    }
    let forcing = sms::forcing_characters(text);
    let why = "Carriers cut a text into parts and bill each one (3GPP TS 23.038).".to_owned();
    if forcing.is_empty() {
        findings.warning(
            "sms.parts",
            "/content",
            format!("The text goes out in {} parts", parts.count),
            why,
            "Shorten it to 160 characters to send one part.".into(),
        );
        return;
    }
    let shown: Vec<String> = forcing.iter().take(5).map(|one| quoted(&one.to_string())).collect();
    let without: String =
        text.chars().map(|one| if forcing.contains(&one) { '?' } else { one }).collect();
    let saved = parts.count - sms::parts(&without).count;
    findings.warning(
        "sms.alphabet",
        "/content",
        format!("{} make it {} parts in UCS-2", shown.join(" "), parts.count),
        why,
        if saved > 0 {
            format!("Replacing these characters saves {saved} of {} parts.", parts.count)
        } else {
            "Shorten it to 70 characters to send one part.".into()
        },
    );
}

fn attachments(
    payload: &Payload,
    channel: Option<&Channel>,
    rules: Option<&ChannelRules>,
    findings: &mut Findings,
) {
    if payload.attachments.len() > ATTACHMENTS_MAX {
        findings.error(
            "attachments.too_many",
            "/attachments",
            format!("{} attachments are more than {ATTACHMENTS_MAX}", payload.attachments.len()),
            "One payload is limited so that it can be checked.".into(),
            format!("Keep at most {ATTACHMENTS_MAX}."),
        );
        return;
    }
    let mut bytes_total = 0;
    for (index, attachment) in payload.attachments.iter().enumerate() {
        let pointer = format!("/attachments/{index}");
        bytes_total += attachment_findings(attachment, &pointer, channel, rules, findings);
    }
    if bytes_total > ATTACHMENTS_BYTES_MAX {
        findings.error(
            "attachments.too_large",
            "/attachments",
            format!("The attachments have {bytes_total} bytes together"),
            format!("All of them together may have {ATTACHMENTS_BYTES_MAX} bytes after decoding."),
            "Send fewer or smaller files, or give them as https addresses.".into(),
        );
    }
}

/// Findings of one attachment; returns its decoded size.
fn attachment_findings(
    attachment: &Attachment,
    pointer: &str,
    channel: Option<&Channel>,
    rules: Option<&ChannelRules>,
    findings: &mut Findings,
) -> usize {
    filename(attachment, pointer, findings);
    let file_type = channel::file_type(&attachment.content_type);
    let extension =
        attachment.filename.rsplit_once('.').map(|(_, after)| after.to_ascii_lowercase());
    match file_type {
        None => findings.error(
            "attachment.type",
            &format!("{pointer}/type"),
            format!("Files of type {} cannot be sent", quoted(&attachment.content_type)),
            "Only types on the allow-list travel, written in lower case without parameters.".into(),
            "Send a PDF, PNG, JPEG, GIF, WebP, text, CSV, Word or Excel file.".into(),
        ),
        Some(known) if !extension.is_some_and(|one| known.extensions.contains(&one.as_str())) => {
            findings.error(
                "attachment.extension",
                &format!("{pointer}/filename"),
                format!("{} does not end like {}", quoted(&attachment.filename), known.mime),
                format!("Type and extension must agree ({GUIDE_PAYLOAD})."),
                format!("Name it with .{}, or correct the type.", known.extensions[0]),
            );
        }
        Some(_) => {}
    }
    match (&attachment.content, &attachment.url) {
        (Some(content), None) => {
            return file_content(content, file_type, pointer, channel, rules, findings);
        }
        (None, Some(url)) => {
            if let Err(problem) = check_https_url(url) {
                findings.error(
                    "attachment.url",
                    &format!("{pointer}/url"),
                    format!("The address cannot be used: {problem}"),
                    "The platform fetches it: https, a public host name, no user name, the usual port.".into(),
                    "Write it like https://cdn.example.com/file.pdf.".into(),
                );
            }
        }
        (both, _) => findings.error(
            "attachment.source",
            pointer,
            if both.is_some() {
                "The attachment has both content and url".into()
            } else {
                "The attachment has neither content nor url".to_owned()
            },
            format!("Exactly one of them says where the file is ({GUIDE_PAYLOAD})."),
            "Keep one.".into(),
        ),
    }
    0
}

fn file_content(
    content: &str,
    file_type: Option<&channel::FileType>,
    pointer: &str,
    channel: Option<&Channel>,
    rules: Option<&ChannelRules>,
    findings: &mut Findings,
) -> usize {
    let pointer = format!("{pointer}/content");
    let Ok(bytes) = STANDARD.decode(content) else {
        findings.error(
            "attachment.base64",
            &pointer,
            "The content is not base64".into(),
            "It is the standard alphabet with padding, no spaces and no line breaks (RFC 4648 §4)."
                .into(),
            "Encode the file again.".into(),
        );
        return 0;
    };
    if bytes.is_empty() {
        findings.error(
            "attachment.empty",
            &pointer,
            "The file is empty".into(),
            "An empty file tells the recipient nothing.".into(),
            "Choose the file again.".into(),
        );
    }
    if let Some(known) = file_type
        && !bytes.is_empty()
        && !known.signatures.is_empty()
        && !known.signatures.iter().any(|signature| bytes.starts_with(signature))
    {
        findings.error(
            "attachment.bytes",
            &pointer,
            format!("The bytes are not {}", known.mime),
            "A file of this type starts differently; receivers would refuse or misread it.".into(),
            "Choose the right file, or correct the type.".into(),
        );
    }
    if let (Some(channel), Some(rules)) = (channel, rules)
        && bytes.len() > rules.attachment_bytes_max
    {
        findings.error(
            "attachment.size",
            &pointer,
            format!("The file has {} bytes", bytes.len()),
            format!(
                "{} takes files of at most {} bytes after decoding ({GUIDE_CONVERSATION}).",
                channel.label(),
                rules.attachment_bytes_max
            ),
            "Send a smaller file, or give it as an https address.".into(),
        );
    }
    bytes.len()
}

fn filename(attachment: &Attachment, pointer: &str, findings: &mut Findings) {
    let name = attachment.filename.as_str();
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let reserved = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|last: char| last.is_ascii_digit()));
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > FILENAME_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if name.contains(['/', '\\', ':']) {
        "it holds a path"
    } else if name.chars().all(|one| one == '.')
        || name.starts_with('.')
        || name.ends_with(['.', ' '])
    {
        "it starts or ends with a dot or ends with a space"
    } else if name.chars().any(is_invisible) {
        "it holds an invisible character"
    } else if reserved {
        "it is a reserved name on Windows"
    } else if has_hidden_extension(name) {
        "it hides a program behind another extension"
    } else {
        return;
    };
    findings.error(
        "attachment.filename",
        &format!("{pointer}/filename"),
        format!("The file name {} cannot be used: {problem}", quoted(name)),
        "A name must be safe to save on any recipient's machine.".into(),
        "Rename it to something like invoice.pdf.".into(),
    );
}

fn has_hidden_extension(name: &str) -> bool {
    const PROGRAMS: [&str; 12] =
        ["exe", "com", "bat", "cmd", "scr", "js", "vbs", "msi", "ps1", "sh", "jar", "lnk"];
    name.to_ascii_lowercase().split('.').skip(1).any(|part| PROGRAMS.contains(&part))
}

/// Accepts an https address that can only mean a public host. The grammar is narrower than RFC 3986 on
/// purpose: a host is dotted labels with an alphabetic last one, which no way of writing an IP address has.
fn check_https_url(url: &str) -> Result<(), &'static str> {
    const LENGTH_MAX: usize = 2_048;
    let rest = url.strip_prefix("https://").ok_or("it does not start with https://")?;
    if url.len() > LENGTH_MAX {
        return Err("it is longer than 2,048 characters");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains(['\\', '<', '>', '"', '`'])
    {
        return Err("it holds a character that must be escaped");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it holds a user name");
    }
    let host = authority.strip_suffix(":443").unwrap_or(authority);
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || labels.len() < 2 || !labels.iter().all(is_label) {
        return Err("its host is not a public name such as cdn.example.com");
    }
    let last = labels[labels.len() - 1].to_ascii_lowercase();
    let inward = [
        "localhost",
        "local",
        "internal",
        "intranet",
        "lan",
        "home",
        "corp",
        "arpa",
        "onion",
        "test",
        "invalid",
    ];
    if !last.bytes().all(|byte| byte.is_ascii_alphabetic()) && !last.starts_with("xn--") {
        return Err("its host is an address, not a name");
    }
    if inward.contains(&last.as_str()) {
        return Err("its host is inside a private network");
    }
    Ok(())
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// The HTML standard's "valid e-mail address", with a dot in the domain.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local =
        |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    !local.is_empty()
        && local.bytes().all(is_local)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

/// Control, zero-width, direction and byte-order characters: present in a text, absent to the eye.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).filter(|one| !is_invisible(*one)).collect();
    let dots = if text.chars().count() > 60 { "…" } else { "" };
    format!("\"{short}{dots}\"")
}

fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Participant;
    use crate::finding::may_send;
    use crate::id::ConversationId;
    use crate::time::Timestamp;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
        validate(payload, Context::Conversation(&conversation))
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
            ("from.role", |p| p.from = "+447700900104".into()),
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
        assert!(codes(&with_file(|a| by_url(a, "https://cdn.example.com/a.png?x=1"))).is_empty());
        let many =
            Payload { attachments: vec![with_file(|_| ()).attachments.remove(0); 51], ..good() };
        assert_eq!(codes(&many), ["attachments.too_many"]);
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
        assert!(codes(&of(channel::SMS_ATTACHMENT_BYTES_MAX)).is_empty());
        assert_eq!(codes(&of(channel::SMS_ATTACHMENT_BYTES_MAX + 1)), ["attachment.size"]);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let unknown = Channel::parse("pigeon");
        let findings = validate(&good(), Context::Channel(&unknown));
        assert_eq!(findings[0].code, "channel.unknown");
        let ended = Conversation { ended_at: Some(Timestamp::from_unix_ms(1)), ..sms() };
        let findings = validate(&good(), Context::Conversation(&ended));
        assert_eq!(findings[0].code, "conversation.ended");
    }

    #[test]
    fn a_long_text_is_a_warning_that_names_what_it_costs() {
        let payload = Payload { content: "it’s ".repeat(20).into(), ..good() };
        let conversation = sms();
        let findings = validate(&payload, Context::Conversation(&conversation));
        assert!(may_send(&findings));
        assert_eq!(findings[0].code, "sms.alphabet");
        assert_eq!(findings[0].how, "Replacing these characters saves 1 of 2 parts.");
    }

    #[test]
    fn errors_come_before_warnings_and_every_finding_says_what_why_and_how() {
        let payload = Payload {
            content: "a".repeat(400).into(),
            to: Vec::new(),
            from: String::new(),
            ..good()
        };
        let conversation = sms();
        let findings = validate(&payload, Context::Conversation(&conversation));
        let severities: Vec<Severity> = findings.iter().map(|one| one.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Error, Severity::Warning]);
        for finding in findings {
            assert!(![finding.what, finding.why, finding.how].iter().any(String::is_empty));
        }
    }
}
