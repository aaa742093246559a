//! Every rule's words: its code, what it is about, where it comes from, what it says, and a good and a bad
//! example. The reference in the documents, the list in the Lab, `waybill rules` and the simulator's hostile
//! input are made from this list, and the tests try each example.
//!
//! Sentences hold `{names}` that the engine fills in. In examples, `{"repeat": 3, "of": "a"}` stands for `"aaa"`,
//! and inside a list for three entries.

use crate::finding::Severity::{self, Error, Warning};
use crate::rules::Dialect;

/// What a rule is about, which says when it applies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Subject {
    /// The channel: always.
    Channel,
    /// The conversation: where one is known.
    Conversation,
    /// The sender: always.
    Sender,
    /// The sender among the participants: where a conversation is known.
    Participant,
    /// The recipients: always.
    Recipients,
    /// Phone numbers: on channels whose recipients are phone numbers.
    Phone,
    /// E-mail addresses: on channels whose recipients are e-mail addresses.
    Email,
    /// The content type: always.
    Type,
    /// The content: always.
    Content,
    /// Text: where the content is one of the text types.
    Text,
    /// Plain text: where the content is that.
    Plain,
    /// HTML: where the content is that.
    Html,
    /// A text that a carrier cuts into parts.
    Sms,
    /// Attachments: where there are any.
    Attachments,
    /// An attachment that is given by value.
    File,
    /// An attachment that is given by its address.
    Url,
    /// A template and its values.
    Template,
}

impl Subject {
    /// Every subject, in the order findings come in.
    pub const ALL: [Subject; 17] = [
        Subject::Channel,
        Subject::Conversation,
        Subject::Sender,
        Subject::Participant,
        Subject::Recipients,
        Subject::Phone,
        Subject::Email,
        Subject::Type,
        Subject::Content,
        Subject::Text,
        Subject::Plain,
        Subject::Html,
        Subject::Sms,
        Subject::Attachments,
        Subject::File,
        Subject::Url,
        Subject::Template,
    ];

    /// A heading for its rules.
    pub fn label(self) -> &'static str {
        match self {
            Subject::Channel => "Channel",
            Subject::Conversation => "Conversation",
            Subject::Sender => "Sender",
            Subject::Participant => "Sender in the conversation",
            Subject::Recipients => "Recipients",
            Subject::Phone => "Phone numbers",
            Subject::Email => "E-mail addresses",
            Subject::Type => "Content type",
            Subject::Content => "Content",
            Subject::Text => "Text",
            Subject::Plain => "Plain text",
            Subject::Html => "HTML",
            Subject::Sms => "SMS parts",
            Subject::Attachments => "Attachments",
            Subject::File => "Files by value",
            Subject::Url => "Files by address",
            Subject::Template => "Templates",
        }
    }
}

/// One rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rule {
    /// Stable name, for programs and for searching.
    pub code: &'static str,
    /// Whether breaking it stops the message.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong.
    pub what: &'static str,
    /// Why that is a rule, without its last full stop: the source follows.
    pub why: &'static str,
    /// Where the rule comes from; `{source}` where the pack says it.
    pub source: &'static str,
    /// How to mend it.
    pub how: &'static str,
    /// What keeps it.
    pub good: Example,
    /// What breaks it.
    pub bad: Example,
}

/// A payload that keeps or breaks a rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Example {
    /// The channel.
    pub channel: &'static str,
    /// The dialect.
    pub dialect: Dialect,
    /// What differs from a plain good message on that channel, as a JSON merge patch (RFC 7396).
    pub patch: &'static str,
}

const fn on(channel: &'static str, patch: &'static str) -> Example {
    Example { channel, dialect: Dialect::Guide, patch }
}

const fn in_genesys(channel: &'static str, patch: &'static str) -> Example {
    Example { channel, dialect: Dialect::Genesys, patch }
}

const PAYLOAD: &str = "guide contract, \"Message payload\"";
const CONVERSATION: &str = "guide contract, \"Reading a conversation\"";
const OWN: &str = "Waybill's own limit";
const PACK: &str = "{source}";
const GSM: &str = "3GPP TS 23.038 and 23.040";
const NAMES: &str = "reserved names and characters of common file systems";

macro_rules! rules {
    ($($name:ident = $code:literal $severity:ident $subject:ident
        what $what:literal why $why:literal source $source:ident how $how:literal
        good $good:expr, bad $bad:expr;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $why, ".")]
            pub static $name: Rule = Rule {
                code: $code,
                severity: $severity,
                subject: Subject::$subject,
                what: $what,
                why: $why,
                source: $source,
                how: $how,
                good: $good,
                bad: $bad,
            };
        )*

        /// All of them, in the order of their subjects.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
CHANNEL_UNKNOWN = "channel.unknown" Error Channel
    what "The channel {value} is not known"
    why "Nothing is sent on a channel that has no rules" source CONVERSATION
    how "Choose a conversation on {channels}."
    good on("sms", "{}"), bad on("pigeon", "{}");
CHANNEL_DIALECT = "channel.dialect" Error Channel
    what "{channel} cannot be sent in the dialect {dialect}"
    why "The platform's message API does not carry this channel" source GENESYS_CHANNELS
    how "Choose a conversation on {channels}."
    good in_genesys("sms", "{}"), bad in_genesys("email", "{}");
CONVERSATION_ENDED = "conversation.ended" Error Conversation
    what "This conversation has ended"
    why "It ended at {value}, and the platform takes no more messages for it" source CONVERSATION
    how "Choose a conversation that is still open."
    good on("sms", "{}"), bad on("sms", r#"{"conversation":{"ended_at":"2026-11-22T10:00:00.000Z"}}"#);

FROM_REQUIRED = "from.required" Error Sender
    what "The sender is missing"
    why "Every message has a sender" source PAYLOAD
    how "Choose who sends it."
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":""}"#);
FROM_EMPTY = "from.empty" Error Sender
    what "The sender's address is only white space"
    why "An empty address names nobody" source PAYLOAD
    how "Choose who sends it."
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":" "}"#);
FROM_TOO_LONG = "from.too_long" Error Sender
    what "The sender's address has {count} characters"
    why "No channel has addresses of more than {max} characters" source OWN
    how "Check what was pasted."
    good on("open", r#"{"from":"service@example.com"}"#), bad on("open", r#"{"from":{"repeat":321,"of":"a"}}"#);
FROM_INVISIBLE = "from.invisible" Error Sender
    what "The sender's address holds the invisible character {value}"
    why "Control, zero-width and direction characters make an address look like another" source UNICODE
    how "Type the address again by hand."
    good on("email", r#"{"from":"agent@example.com"}"#), bad on("email", r#"{"from":"agent\u200b@example.com"}"#);
FROM_NOT_PARTICIPANT = "from.not_participant" Error Participant
    what "{value} does not take part in this conversation"
    why "The sender must be exactly one participant with the role {roles}" source PACK
    how "{senders}"
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":"+447700900777"}"#);
FROM_ROLE = "from.role" Error Participant
    what "{value} is {role}, not {roles}"
    why "The sender must be exactly one participant with the role {roles}" source PACK
    how "{senders}"
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":"+447700900005"}"#);
FROM_ROLE_MISSING = "from.role_missing" Error Participant
    what "{value} has no role in this conversation"
    why "The sender must be exactly one participant with the role {roles}" source PACK
    how "{senders}"
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":"+447700900006"}"#);
FROM_AMBIGUOUS = "from.ambiguous" Error Participant
    what "{count} participants speak as {value}"
    why "The sender must be exactly one participant with the role {roles}" source PACK
    how "Choose a sender that is in the conversation once."
    good on("sms", r#"{"from":"+447700900001"}"#), bad on("sms", r#"{"from":"+447700900007"}"#);

TO_REQUIRED = "to.required" Error Recipients
    what "There is no recipient"
    why "A message goes to at least one recipient" source PAYLOAD
    how "Add a recipient."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":[]}"#);
TO_TOO_MANY = "to.too_many" Error Recipients
    what "{count} recipients are more than {max}"
    why "One payload is limited so that it can be checked and followed" source PACK
    how "Send to at most {max} at a time."
    good on("open", r#"{"to":["visitor-1","visitor-2"]}"#), bad on("open", r#"{"to":[{"repeat":1001,"of":"visitor-1"}]}"#);
TO_DUPLICATE = "to.duplicate" Error Recipients
    what "{value} is in the list twice"
    why "Nobody should get the same message twice" source OWN
    how "Remove one of them."
    good on("sms", r#"{"to":["+447700900141","+447700900142"]}"#), bad on("sms", r#"{"to":["+447700900141","+447700900141"]}"#);
TO_EMPTY = "to.empty" Error Recipients
    what "The address is empty"
    why "An empty address reaches nobody" source PAYLOAD
    how "Fill it in or remove it."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":["+447700900141",""]}"#);
TO_SPACES = "to.spaces" Error Recipients
    what "{value} begins or ends with a space"
    why "The platform compares addresses letter by letter" source OWN
    how "Remove the space."
    good on("open", r#"{"to":["visitor-1"]}"#), bad on("open", r#"{"to":["visitor-1 "]}"#);
TO_TOO_LONG = "to.too_long" Error Recipients
    what "The address has {count} characters"
    why "No channel has addresses of more than {max} characters" source OWN
    how "Check what was pasted."
    good on("open", r#"{"to":["visitor-1"]}"#), bad on("open", r#"{"to":[{"repeat":1,"of":{"repeat":321,"of":"a"}}]}"#);
TO_INVISIBLE = "to.invisible" Error Recipients
    what "The address holds the invisible character {value}"
    why "Control, zero-width and direction characters make an address look like another" source UNICODE
    how "Type the address again by hand."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":["+44770090\u202e0141"]}"#);
TO_NOT_PARTICIPANT = "to.not_participant" Warning Recipients
    what "{value} does not take part in this conversation"
    why "A message into a conversation is usually for the customer who is in it" source CONVERSATION
    how "Check that this is the right conversation."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":["+447700900888"]}"#);
TO_SENDER = "to.sender" Warning Recipients
    what "{value} is the sender"
    why "A message to oneself is rarely meant" source OWN
    how "Write to the customer instead."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":["+447700900001"]}"#);
TO_PHONE = "to.phone" Error Phone
    what "{value} is not a phone number in international form"
    why "Phone channels take + and 7 to 15 digits, the first of them not 0" source E164
    how "Write it like +447700900141, without spaces."
    good on("sms", r#"{"to":["+447700900141"]}"#), bad on("sms", r#"{"to":["07700 900141"]}"#);
TO_COUNTRY = "to.country" Error Phone
    what "{value} begins with no country's code"
    why "The first one to three digits are a code that the ITU has assigned" source E164
    how "Check the digits after the +."
    good on("whatsapp", r#"{"to":["+12025550123"]}"#), bad on("whatsapp", r#"{"to":["+9995550123"]}"#);
TO_PHONE_LENGTH = "to.phone_length" Error Phone
    what "{value} has {count} digits after +{country}, which no number there has"
    why "Numbers of +{country} have {lengths} digits" source LENGTHS
    how "Check for a digit too many or too few."
    good on("sms", r#"{"to":["+33612345678"]}"#), bad on("sms", r#"{"to":["+3361234567"]}"#);
TO_EMAIL = "to.email" Error Email
    what "{value} is not an e-mail address"
    why "E-mail takes name@domain as browsers check it" source HTML_EMAIL
    how "Write it like customer@example.com."
    good on("email", r#"{"to":["customer@example.com"]}"#), bad on("email", r#"{"to":["customer at example.com"]}"#);
TO_EMAIL_DOMAIN = "to.email_domain" Warning Email
    what "{value} has a domain without a dot"
    why "Such a domain is valid, but no mail of the public internet reaches it" source HTML_EMAIL
    how "Check the part after the @."
    good on("email", r#"{"to":["customer@example.com"]}"#), bad on("email", r#"{"to":["customer@example"]}"#);

TYPE_UNKNOWN = "type.unknown" Error Type
    what "{value} is not a content type a message can have"
    why "It is text/plain, text/html or application/json, in lower case and without parameters" source PAYLOAD
    how "Choose one of the three."
    good on("email", r#"{"type":"text/html"}"#), bad on("email", r#"{"type":"text/html; charset=utf-8"}"#);
TYPE_CHANNEL = "type.channel" Error Type
    what "{channel} cannot carry {type}"
    why "{channel} takes {types}" source PACK
    how "Write it as plain text."
    good on("sms", r#"{"type":"text/plain"}"#), bad on("sms", r#"{"type":"text/html"}"#);

CONTENT_NOT_TEXT = "content.not_text" Error Content
    what "The content is {value}, not text"
    why "The text types take a string" source PAYLOAD
    how "Put the text in quotes, or choose application/json."
    good on("email", r#"{"content":"{\"event\":1}"}"#), bad on("email", r#"{"content":{"event":1}}"#);
CONTENT_EMPTY = "content.empty" Error Content
    what "{value}"
    why "A message has content" source PAYLOAD
    how "Write what is to be said."
    good on("sms", r#"{"content":"Hello"}"#), bad on("sms", r#"{"content":" "}"#);
CONTENT_TOO_LONG = "content.too_long" Error Content
    what "The content has {count} bytes"
    why "A message says at most {max} bytes" source OWN
    how "Shorten it, or attach the long part as a file."
    good on("email", r#"{"content":"Hello"}"#), bad on("email", r#"{"content":{"repeat":262145,"of":"a"}}"#);
CONTENT_OVER_LIMIT = "content.over_limit" Error Text
    what "The text has {count} {unit}"
    why "{channel} takes at most {max} {unit}" source PACK
    how "Remove {over} of them, or send the rest as another message."
    good on("instagram", r#"{"content":"Hello"}"#), bad on("instagram", r#"{"content":{"repeat":501,"of":"é"}}"#);
CONTENT_NUL = "content.nul" Error Text
    what "The text holds a NUL character"
    why "NUL ends a text for many receivers, so the rest would be lost" source UNICODE
    how "Remove it."
    good on("email", r#"{"content":"one two"}"#), bad on("email", r#"{"content":"one\u0000two"}"#);
CONTENT_CONTROL = "content.control" Warning Text
    what "The text holds the control character {value}"
    why "Receivers show it as a box, or not at all" source UNICODE
    how "Remove it."
    good on("email", r#"{"content":"one\n\ttwo"}"#), bad on("email", r#"{"content":"one\u0007two"}"#);
CONTENT_DIRECTION = "content.direction" Warning Text
    what "The text holds the direction override {value}"
    why "It makes a text read in another order than it was written" source UNICODE
    how "Remove it; right-to-left words need none."
    good on("email", r#"{"content":"שלום"}"#), bad on("email", r#"{"content":"invoice\u202egpj.exe"}"#);
CONTENT_PLACEHOLDER = "content.placeholder" Warning Text
    what "The text still holds {value}"
    why "What looks like a placeholder would reach the customer as it is" source TEMPLATES
    how "Fill it in, or send it from a template."
    good on("sms", r#"{"content":"Hello Robin"}"#), bad on("sms", r#"{"content":"Hello {{name}}"}"#);
CONTENT_MARKUP = "content.markup" Warning Plain
    what "The plain text holds {value}"
    why "Plain text is shown as it is written, tags and all" source PAYLOAD
    how "Choose HTML, or remove the tags."
    good on("email", r#"{"content":"1 < 2"}"#), bad on("email", r#"{"content":"Hello <b>you</b>"}"#);
HTML_EMPTY = "html.empty" Warning Html
    what "The HTML shows nothing"
    why "The recipient would see an empty message" source HTML_MAIL
    how "Write what is to be said between the tags."
    good on("email", r#"{"type":"text/html","content":"<p>Hello</p>"}"#), bad on("email", r#"{"type":"text/html","content":"<p>&nbsp;</p>"}"#);
HTML_ACTIVE = "html.active" Warning Html
    what "The HTML holds {value}"
    why "Receivers remove programs, frames and forms, and some refuse the whole message" source HTML_MAIL
    how "Say it with text, links and pictures."
    good on("email", r#"{"type":"text/html","content":"<p>Hello</p>"}"#), bad on("email", r#"{"type":"text/html","content":"<p>Hello</p><script>go()</script>"}"#);

SMS_PARTS = "sms.parts" Warning Sms
    what "The text goes out in {count} parts"
    why "Carriers cut a text into parts and bill each one" source GSM
    how "Shorten it to {single} characters to send one part."
    good on("sms", r#"{"content":{"repeat":160,"of":"a"}}"#), bad on("sms", r#"{"content":{"repeat":161,"of":"a"}}"#);
SMS_ALPHABET = "sms.alphabet" Warning Sms
    what "{value} {make} it {count} parts in UCS-2"
    why "One character outside GSM-7 makes the whole text UCS-2, whose parts hold 67 instead of 153 units" source GSM
    how "{saving}"
    good on("sms", r#"{"content":{"repeat":20,"of":"it's "}}"#), bad on("sms", r#"{"content":{"repeat":20,"of":"it’s "}}"#);
SMS_MANY_PARTS = "sms.many_parts" Warning Sms
    what "{count} parts are more than the {max} that are usual"
    why "The platform's own page stops at {max} parts, and some carriers do too" source PACK
    how "Shorten it, or send the rest as another message."
    good on("sms", r#"{"content":{"repeat":765,"of":"a"}}"#), bad on("sms", r#"{"content":{"repeat":336,"of":"ж"}}"#);
SMS_TOO_MANY_PARTS = "sms.too_many_parts" Error Sms
    what "{count} parts are more than {max}"
    why "A carrier joins at most {max} parts" source PACK
    how "Shorten it, or send the rest as another message."
    good on("sms", r#"{"content":{"repeat":670,"of":"ж"}}"#), bad on("sms", r#"{"content":{"repeat":671,"of":"ж"}}"#);

ATTACHMENTS_TOO_MANY = "attachments.too_many" Error Attachments
    what "{count} attachments are more than {max}"
    why "{channel} takes at most {max}" source PACK
    how "Keep at most {max}."
    good on("sms", r#"{"attachments":[{"repeat":10,"of":{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}}]}"#),
    bad on("sms", r#"{"attachments":[{"repeat":11,"of":{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}}]}"#);
ATTACHMENTS_TOO_LARGE = "attachments.too_large" Error Attachments
    what "The attachments have {count} bytes together"
    why "{channel} takes {max} bytes after decoding" source PACK
    how "Send fewer or smaller files, or give them as https addresses."
    good on("open", r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":{"repeat":1000,"of":"QUFB"}}]}"#),
    bad on("open", r#"{"attachments":[{"repeat":3,"of":{"type":"text/plain","filename":"a.txt","content":{"repeat":600000,"of":"QUFB"}}}]}"#);
ATTACHMENT_SOURCE = "attachment.source" Error Attachments
    what "The attachment has {value} content and url"
    why "Exactly one of them says where the file is" source PAYLOAD
    how "Keep one."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png"}]}"#);
ATTACHMENT_TYPE = "attachment.type" Error Attachments
    what "Files of type {value} cannot be sent"
    why "Only types on the allow-list travel, written in lower case and without parameters" source OWN
    how "Send one of {types}."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/svg+xml","filename":"a.svg","url":"https://cdn.example.com/a.svg"}]}"#);
ATTACHMENT_CHANNEL = "attachment.channel" Error Attachments
    what "{channel} cannot carry {value}"
    why "{channel} carries {types}" source PACK
    how "Send it as one of these, or as a link in the text."
    good in_genesys("sms", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgoAAAAN"}]}"#),
    bad in_genesys("sms", r#"{"attachments":[{"type":"application/pdf","filename":"a.pdf","content":"JVBERi0xLjcK"}]}"#);
ATTACHMENT_EXTENSION = "attachment.extension" Error Attachments
    what "{value} does not end like {type}"
    why "Type and extension must agree" source PAYLOAD
    how "Name it with .{extension}, or correct the type."
    good on("email", r#"{"attachments":[{"type":"application/pdf","filename":"invoice.pdf","url":"https://cdn.example.com/1"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"application/pdf","filename":"invoice.png","url":"https://cdn.example.com/1"}]}"#);
ATTACHMENT_FILENAME = "attachment.filename" Error Attachments
    what "The file name {value} cannot be used: {problem}"
    why "A name must be safe to save on any recipient's machine" source NAMES
    how "Rename it to something like invoice.pdf."
    good on("email", r#"{"attachments":[{"type":"application/pdf","filename":"invoice.pdf","url":"https://cdn.example.com/1"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"application/pdf","filename":"../invoice.pdf","url":"https://cdn.example.com/1"}]}"#);
ATTACHMENT_FILENAME_CHARACTERS = "attachment.filename_characters" Error Attachments
    what "The file name {value} holds {character}"
    why "The platform takes no file of such a name" source PACK
    how "Use letters, digits, dots, hyphens and underscores."
    good in_genesys("sms", r#"{"attachments":[{"type":"image/png","filename":"my-photo.png","content":"iVBORw0KGgoAAAAN"}]}"#),
    bad in_genesys("sms", r#"{"attachments":[{"type":"image/png","filename":"my photo.png","content":"iVBORw0KGgoAAAAN"}]}"#);
ATTACHMENT_DUPLICATE = "attachment.duplicate" Warning Attachments
    what "Two attachments are named {value}"
    why "A recipient who saves both keeps only one" source NAMES
    how "Give one of them another name."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"},{"type":"image/png","filename":"b.png","url":"https://cdn.example.com/b.png"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"},{"type":"image/png","filename":"A.png","url":"https://cdn.example.com/b.png"}]}"#);
ATTACHMENT_BASE64 = "attachment.base64" Error File
    what "The content is not base64: {problem}"
    why "It is the standard alphabet with padding, no spaces and no line breaks" source RFC4648
    how "Encode the file again."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgoAAAAN"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgo"}]}"#);
ATTACHMENT_EMPTY = "attachment.empty" Error File
    what "The file is empty"
    why "An empty file tells the recipient nothing" source OWN
    how "Choose the file again."
    good on("email", r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":"QUFB"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":""}]}"#);
ATTACHMENT_BYTES = "attachment.bytes" Error File
    what "The bytes are {found}, not {type}"
    why "A file of this type begins differently; receivers would refuse or misread it" source SIGNATURES
    how "Choose the right file, or correct the type."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgoAAAAN"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"JVBERi0xLjcK"}]}"#);
ATTACHMENT_SIZE = "attachment.size" Error File
    what "The file has {count} bytes"
    why "{channel} takes {type} of at most {max} bytes after decoding" source PACK
    how "Send a smaller file, or give it as an https address."
    good on("sms", r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":{"repeat":1000,"of":"QUFB"}}]}"#),
    bad on("sms", r#"{"attachments":[{"type":"text/plain","filename":"a.txt","content":{"repeat":349526,"of":"QUFB"}}]}"#);
ATTACHMENT_URL = "attachment.url" Error Url
    what "The address cannot be used: {problem}"
    why "The platform fetches it: https, a public host name, no user name, the usual port" source PAYLOAD
    how "Write it like https://cdn.example.com/file.pdf."
    good on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#),
    bad on("email", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://127.0.0.1/a.png"}]}"#);
ATTACHMENT_URL_DIALECT = "attachment.url_dialect" Error Url
    what "The dialect {dialect} sends no files by address"
    why "The platform takes the bytes of a file and fetches nothing" source PACK
    how "Attach the file itself, or put the link into the text."
    good in_genesys("sms", r#"{"attachments":[{"type":"image/png","filename":"a.png","content":"iVBORw0KGgoAAAAN"}]}"#),
    bad in_genesys("sms", r#"{"attachments":[{"type":"image/png","filename":"a.png","url":"https://cdn.example.com/a.png"}]}"#);

TEMPLATE_SYNTAX = "template.syntax" Error Template
    what "The placeholder {value} cannot be read: {problem}"
    why "A placeholder is {{name}} or {{name|default}}; a name is letters, digits, _ . - and begins with a letter or _" source TEMPLATES
    how "Close it with }}, or write \\{{ for two braces that are meant."
    good on("sms", r#"{"content":"Hello {{name}}"}"#), bad on("sms", r#"{"content":"Hello {{name"}"#);
TEMPLATE_MISSING = "template.missing" Error Template
    what "There is no value for {{{value}}}"
    why "A message is never sent with a hole in it" source TEMPLATES
    how "Give {value} a value, or a default: {{{value}|…}}."
    good on("sms", r#"{"content":"Hello {{name|you}}"}"#), bad on("sms", r#"{"content":"Hello {{name}}"}"#);
TEMPLATE_UNUSED = "template.unused" Warning Template
    what "The value {value} is used nowhere"
    why "A value that the template does not name is usually a name spelled differently" source TEMPLATES
    how "Use {{{value}}} in the template, or leave the value out."
    good on("sms", r#"{"content":"Order {{order}}"}"#), bad on("sms", r#"{"content":"Order {{oder}}"}"#);
}

const GENESYS_CHANNELS: &str = "Genesys Cloud, message API: messenger types";
const UNICODE: &str = "Unicode, format and control characters";
const E164: &str = "ITU-T E.164";
const LENGTHS: &str = "ITU-T E.164; lengths as in libphonenumber";
const HTML_EMAIL: &str = "HTML standard, valid e-mail address";
const HTML_MAIL: &str = "what mail programs and messengers show";
const RFC4648: &str = "RFC 4648 §4";
const SIGNATURES: &str = "file signatures";
const TEMPLATES: &str = "Waybill's templates";

/// The rule of this code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code).copied()
}

/// Fills `{names}` in a sentence. Braces around anything that has no value stay as they are.
pub(crate) fn fill(sentence: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(sentence.len() + 32);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let named = after.split_once('}').and_then(|(name, tail)| {
            values.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value, tail))
        });
        match named {
            Some((value, tail)) => {
                filled.push_str(value);
                rest = tail;
            }
            None => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}
