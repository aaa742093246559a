//! Findings that one click can mend: what the button says and what it does to the draft.

use crate::components::file::type_of_name;
use crate::state::draft::Draft;
use shared::address::{check_phone, is_direction_override, is_invisible};
use shared::finding::Finding;
use shared::payload::TEXT_PLAIN;
use shared::sms;

/// A way to mend a finding.
#[derive(Clone, PartialEq, Debug)]
pub struct Fix {
    /// What the button says.
    pub label: String,
    /// The draft afterwards.
    pub draft: Draft,
}

/// The fix for `finding`, where there is one that cannot be wrong.
pub fn fix(finding: &Finding, draft: &Draft) -> Option<Fix> {
    let mut mended = draft.clone();
    let label = match finding.code.as_str() {
        "type.channel" => {
            mended.content = plain_text(&draft.content);
            mended.content_type = TEXT_PLAIN.into();
            "Make it plain text".to_owned()
        }
        "sms.alphabet" => {
            mended.content = sms::saving(&draft.content)?.text;
            let after = sms::forcing(&mended.content).len();
            if after == 0 { "Replace them" } else { "Replace some" }.to_owned()
        }
        "content.markup" => {
            mended.content = plain_text(&draft.content);
            "Remove the tags".to_owned()
        }
        "to.duplicate" | "to.empty" | "to.too_long" | "to.sender" => {
            mended.recipients.remove(index(finding, draft.recipients.len())?);
            "Remove it".to_owned()
        }
        "to.phone" => {
            let index = index(finding, draft.recipients.len())?;
            let phone = phone(&draft.recipients[index])?;
            let label = format!("Write {phone}");
            mended.recipients[index] = phone;
            label
        }
        "to.spaces" => {
            let index = index(finding, draft.recipients.len())?;
            mended.recipients[index] = draft.recipients[index].trim().to_owned();
            "Trim it".to_owned()
        }
        "to.invisible" => {
            let index = index(finding, draft.recipients.len())?;
            mended.recipients[index] = draft.recipients[index].replace(is_invisible, "");
            "Remove what cannot be seen".to_owned()
        }
        "content.nul" | "content.control" | "content.direction" => {
            let is_unwanted = |one: char| {
                is_direction_override(one) || (one.is_control() && !"\t\n\r".contains(one))
            };
            mended.content = draft.content.replace(is_unwanted, "");
            "Remove it".to_owned()
        }
        "attachment.extension" => {
            let index = index(finding, draft.attachments.len())?;
            let mime = type_of_name(&draft.attachments[index].filename)?;
            mended.attachments[index].content_type = mime.to_owned();
            format!("Its type is {mime}")
        }
        "attachment.filename_characters" => {
            let index = index(finding, draft.attachments.len())?;
            let name = safe_name(&draft.attachments[index].filename)?;
            let label = format!("Name it {name}");
            mended.attachments[index].filename = name;
            label
        }
        "attachment.type"
        | "attachment.channel"
        | "attachment.size"
        | "attachment.empty"
        | "attachment.bytes"
        | "attachment.duplicate"
        | "attachment.url"
        | "attachment.url_dialect" => {
            mended.attachments.remove(index(finding, draft.attachments.len())?);
            "Remove it".to_owned()
        }
        _ => return None,
    };
    Some(Fix { label, draft: mended })
}

/// The index in a pointer such as `/to/3`.
fn index(finding: &Finding, len: usize) -> Option<usize> {
    finding.pointer.split('/').nth(2)?.parse().ok().filter(|index| *index < len)
}

/// What is left of HTML when its tags go; blocks become lines.
fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let Some(end) = rest[start..].find('>') else {
            rest = &rest[start..];
            break;
        };
        let tag = rest[start + 1..start + end].to_ascii_lowercase();
        let name: String =
            tag.chars().take_while(|one| one.is_ascii_alphanumeric() || *one == '/').collect();
        if matches!(
            name.as_str(),
            "/p" | "/div" | "/li" | "/tr" | "br" | "br/" | "/h1" | "/h2" | "/h3"
        ) {
            text.push('\n');
        }
        rest = &rest[start + end + 1..];
    }
    text.push_str(rest);
    for (entity, character) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, character);
    }
    text.trim().to_owned()
}

/// A file name of letters, digits and `. _ -` alone; `None` where nothing of it would be left.
fn safe_name(name: &str) -> Option<String> {
    let safe: String = name
        .chars()
        .map(|one| if one.is_ascii_alphanumeric() || "._-".contains(one) { one } else { '-' })
        .collect();
    let safe = safe.trim_matches('-').to_owned();
    safe.chars().any(|one| one.is_ascii_alphanumeric()).then_some(safe)
}

/// A phone number without the signs people write for the eye.
fn phone(text: &str) -> Option<String> {
    let bare: String = text
        .chars()
        .filter(|one| !matches!(one, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'))
        .collect();
    let bare = match bare.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => bare,
    };
    check_phone(&bare).is_ok().then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn html_becomes_the_words_in_it() {
        assert_eq!(plain_text("<p>Hi <b>Ana</b></p><p>Bye</p>"), "Hi Ana\nBye");
        assert_eq!(plain_text("1 &lt; 2<br/>a &amp; b"), "1 < 2\na & b");
        assert_eq!(plain_text("a < b"), "a < b");
    }

    #[test]
    fn file_names_keep_what_is_safe_of_them() {
        assert_eq!(safe_name("Rechnung Nr. 7 (ü).pdf").as_deref(), Some("Rechnung-Nr.-7----.pdf"));
        assert_eq!(safe_name("日本"), None);
    }

    #[test]
    fn only_what_is_surely_a_phone_number_is_rewritten() {
        assert_eq!(phone("+44 7700 900141").as_deref(), Some("+447700900141"));
        assert_eq!(phone("0044 (7700) 900-141").as_deref(), Some("+447700900141"));
        assert_eq!(phone("07700 900141"), None);
        assert_eq!(phone("call me"), None);
    }
}
