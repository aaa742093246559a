//! The message being written. It saves itself in this browser and survives a reload, its key included, so
//! that trying again after a lost answer is a repeat and never a second message.

use crate::browser;
use serde::{Deserialize, Serialize};
use shared::id::{ConnectionName, Key};
use shared::payload::{Attachment, TEXT_PLAIN};
use shared::template::Values;

const STORED_AS: &str = "waybill.draft";
/// Characters of file content kept with the draft; browsers give a page about five million in all.
const FILES_CHARS_MAX: usize = 2_000_000;

/// Everything somebody has filled in, right or wrong.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Draft {
    /// The submission's identity, made when the draft was begun.
    pub key: Key,
    /// Through which connection; the first one while `None`.
    pub connection: Option<ConnectionName>,
    /// The conversation as typed.
    pub conversation: String,
    /// The conversation whose sender and recipients were filled in.
    pub filled_for: String,
    /// Who sends it.
    pub sender: String,
    /// Whom it is for.
    pub recipients: Vec<String>,
    /// MIME type of the content.
    pub content_type: String,
    /// The content as typed, JSON too.
    pub content: String,
    /// Values for the `{{names}}` in it.
    #[serde(default)]
    pub values: Values,
    /// Files that travel with it.
    pub attachments: Vec<Attachment>,
    /// Names of files that were too large to be kept with the draft.
    pub left_out: Vec<String>,
    /// True to send at `send_at` and not at once.
    pub is_later: bool,
    /// Local date and time, as the browser's field writes it.
    pub send_at: String,
    /// Local date and time after which it is given up; empty for never.
    pub give_up_at: String,
    /// True once it was posted and no answer came: it may already be accepted.
    pub was_posted: bool,
}

impl Draft {
    /// An empty draft with a key of its own.
    pub fn new() -> Self {
        Self {
            key: Key::new(browser::now(), browser::random_bytes()),
            connection: None,
            conversation: String::new(),
            filled_for: String::new(),
            sender: String::new(),
            recipients: Vec::new(),
            content_type: TEXT_PLAIN.into(),
            content: String::new(),
            values: Values::new(),
            attachments: Vec::new(),
            left_out: Vec::new(),
            is_later: false,
            send_at: String::new(),
            give_up_at: String::new(),
            was_posted: false,
        }
    }

    /// The draft kept in this browser, or an empty one.
    pub fn stored() -> Self {
        browser::stored(STORED_AS)
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_else(Self::new)
    }

    /// Keeps the draft in this browser; files that are too large for it are left out and named.
    pub fn store(&self) {
        let text = serde_json::to_string(&self.without_large_files()).unwrap_or_default();
        browser::store(STORED_AS, &text);
    }

    /// True when there is nothing in it worth keeping.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty() && self.conversation.is_empty() && self.attachments.is_empty()
    }

    fn without_large_files(&self) -> Self {
        let chars: usize =
            self.attachments.iter().filter_map(|file| file.content.as_ref()).map(String::len).sum();
        let mut kept = self.clone();
        if chars > FILES_CHARS_MAX {
            let (left, files) =
                kept.attachments.into_iter().partition(|file| file.content.is_some());
            kept.attachments = files;
            let left: Vec<Attachment> = left;
            kept.left_out = left.into_iter().map(|file| file.filename).collect();
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn draft(content: String) -> Draft {
        let key = Key::parse("k-1").unwrap();
        let file =
            Attachment { filename: "a.pdf".into(), content: Some(content), ..Default::default() };
        let link =
            Attachment { filename: "b.pdf".into(), url: Some("u".into()), ..Default::default() };
        let mut draft: Draft = serde_json::from_value(serde_json::json!({
            "key": key, "connection": null, "conversation": "", "filled_for": "", "sender": "",
            "recipients": [], "content_type": "text/plain", "content": "", "attachments": [],
            "left_out": [], "is_later": false, "send_at": "", "give_up_at": "", "was_posted": true
        }))
        .unwrap();
        draft.attachments = vec![file, link];
        draft
    }

    #[test]
    fn large_files_are_left_out_by_name_and_the_rest_is_kept() {
        let small = draft("QUJD".into());
        assert_eq!(small.without_large_files(), small);
        let large = draft("A".repeat(FILES_CHARS_MAX + 1)).without_large_files();
        assert_eq!(large.left_out, ["a.pdf"]);
        assert_eq!(large.attachments.len(), 1);
        assert_eq!(large.key.as_str(), "k-1");
    }
}
