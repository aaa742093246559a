//! A pack's limits as lines to read, each with where it comes from.

use shared::rules::{AddressForm, Pack, Recipients};

/// One limit in words.
pub struct Shown {
    /// What is limited.
    pub name: &'static str,
    /// To what.
    pub value: String,
    /// Where it comes from.
    pub source: String,
}

/// All limits of a pack, in the order of a payload's fields.
pub fn limits(pack: &Pack) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut add = |name, value: String, source: &str| {
        all.push(Shown { name, value, source: source.to_owned() });
    };
    add("senders", pack.sender_roles.value.join(", "), &pack.sender_roles.source);
    let form = match pack.recipient_form.value {
        AddressForm::Phone => "phone numbers, like +447700900141",
        AddressForm::Email => "e-mail addresses",
        AddressForm::Opaque => "any visible text of at most 320 characters",
    };
    add("recipients", form.to_owned(), &pack.recipient_form.source);
    add("most recipients", pack.recipients_max.value.to_string(), &pack.recipients_max.source);
    add("content types", pack.content_types.value.join(", "), &pack.content_types.source);
    if let Some(text) = &pack.text {
        add("longest text", format!("{} {}", text.max, text.unit.word()), &text.source);
    }
    if let Some(parts) = &pack.parts {
        let value = format!("{}, a warning from {} on", parts.max, parts.usual_max + 1);
        add("most parts", value, &parts.source);
    }
    add("most attachments", pack.attachments_max.value.to_string(), &pack.attachments_max.source);
    let together = &pack.attachments_bytes_max;
    add("attachments together", bytes(together.value), &together.source);
    for media in &pack.media {
        let value = format!("{}: {}", media.types.join(", "), bytes(media.bytes_max));
        add("files", value, &media.source);
    }
    let by_address = if pack.urls.value { "may be given" } else { "cannot be sent" };
    add("files by address", by_address.to_owned(), &pack.urls.source);
    if let Some(forbidden) = &pack.filename_forbidden {
        // A tab cannot be seen.
        let value = match forbidden.value.replace('\t', "") {
            without if without == forbidden.value => without,
            without => format!("{without} tab"),
        };
        add("not in file names", value, &forbidden.source);
    }
    let texts = if pack.sending.apart {
        "text and each file apart"
    } else {
        "text and files in one message"
    };
    let recipients = match pack.sending.recipients {
        Recipients::Together => "all recipients together",
        Recipients::OneEach => "each recipient apart",
    };
    add("sending", format!("{texts}, {recipients}"), &pack.sending.source);
    all
}

/// A number of bytes, and what people call it where it is a round one.
fn bytes(count: usize) -> String {
    const KIB: usize = 1024;
    const MIB: usize = KIB * KIB;
    match count {
        _ if count >= MIB && count.is_multiple_of(MIB) => format!("{} MiB", count / MIB),
        _ if count >= KIB && count.is_multiple_of(KIB) => format!("{} KiB", count / KIB),
        _ => format!("{count} bytes"),
    }
}
