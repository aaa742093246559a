//! One attachment: what it is called, how large it is or where it lies, and a way to take it away.

use crate::components::icon::{Glyph, Icon};
use crate::words;
use leptos::prelude::*;
use shared::payload::Attachment;
use shared::rules::FILE_TYPES;

/// Bytes behind base64 text, without decoding it.
pub fn decoded_len(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() / 4 * 3).saturating_sub(padding)
}

/// The type that goes with a file name's extension.
pub fn type_of_name(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let known = FILE_TYPES.iter().find(|known| known.extensions.contains(&extension.as_str()))?;
    Some(known.mime)
}

/// The last part of an address's path, as the file's name.
pub fn name_of_url(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let after_host = path.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let name = after_host.map_or("", |(_, path)| path).rsplit('/').next().unwrap_or_default();
    if name.is_empty() { "file".into() } else { name.to_owned() }
}

fn kind(attachment: &Attachment) -> String {
    let extension = attachment.filename.rsplit_once('.').map_or("?", |(_, after)| after);
    extension.chars().take(4).collect::<String>().to_uppercase()
}

/// Where the attachment is and how large, in a line.
pub fn about(attachment: &Attachment) -> String {
    match (&attachment.content, &attachment.url) {
        (Some(content), _) => words::bytes(decoded_len(content)),
        (None, Some(url)) => url.clone(),
        (None, None) => String::new(),
    }
}

/// The row of an attachment whose name and type can be changed.
#[component]
pub fn FileRow(
    /// The attachment.
    attachment: Attachment,
    /// True when a rule found something about it.
    #[prop(into)]
    is_faulty: Signal<bool>,
    /// Told the attachment after a change.
    change: Callback<Attachment>,
    /// Takes it away.
    remove: Callback<()>,
) -> impl IntoView {
    let name = attachment.filename.clone();
    let label = format!("Remove {name}");
    let mime = attachment.content_type.clone();
    let is_listed = FILE_TYPES.iter().any(|known| known.mime == mime);
    let for_name = attachment.clone();
    let for_type = attachment.clone();
    view! {
        <div class="file" class:has-bad=move || is_faulty.get()>
            <span class="file-kind" aria-hidden="true">
                {kind(&attachment)}
            </span>
            <span class="who">
                <input
                    class="bare"
                    aria-label="File name"
                    spellcheck="false"
                    prop:value=name
                    on:change:target=move |event| {
                        change.run(Attachment { filename: event.target().value(), ..for_name.clone() });
                    }
                />
                <span class="line row">
                    <select
                        class="bare"
                        aria-label="Type"
                        on:change:target=move |event| {
                            change
                                .run(Attachment {
                                    content_type: event.target().value(),
                                    ..for_type.clone()
                                });
                        }
                    >
                        {(!is_listed)
                            .then(|| view! { <option selected=true>{mime.clone()}</option> })}
                        {FILE_TYPES
                            .iter()
                            .map(|known| {
                                view! {
                                    <option value=known.mime selected=known.mime == mime>
                                        {short(known.mime)}
                                    </option>
                                }
                            })
                            .collect_view()}
                    </select>
                    <span class="clip">{about(&attachment)}</span>
                </span>
            </span>
            <button
                type="button"
                class="b b-icon b-quiet b-small"
                aria-label=label
                on:click=move |_| remove.run(())
            >
                <Icon glyph=Glyph::Trash/>
            </button>
        </div>
    }
}

/// A type as people write it where the full one is a mouthful.
fn short(mime: &'static str) -> &'static str {
    match mime.rsplit_once('.') {
        Some((_, "document")) => "Word document",
        Some((_, "sheet")) => "Excel sheet",
        _ => mime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn names_and_types_come_from_the_address() {
        assert_eq!(name_of_url("https://cdn.example.com/docs/inv-8821.pdf?v=2"), "inv-8821.pdf");
        assert_eq!(name_of_url("http://cdn.example.com/a/b.txt#top"), "b.txt");
        assert_eq!(name_of_url("https://cdn.example.com"), "file");
        assert_eq!(type_of_name("Scan.JPEG"), Some("image/jpeg"));
        assert_eq!(type_of_name("run.exe"), None);
    }

    #[test]
    fn sizes_are_known_without_decoding() {
        assert_eq!(
            [decoded_len(""), decoded_len("QQ=="), decoded_len("QUI="), decoded_len("QUJD")],
            [0, 1, 2, 3]
        );
    }
}
