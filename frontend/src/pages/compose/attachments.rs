//! The fourth stop: files, chosen or dropped, and https addresses the platform fetches.

use super::desk::Desk;
use super::findings;
use crate::components::file::{FileRow, name_of_url, type_of_name};
use crate::components::icon::{Glyph, Icon};
use crate::components::leg::Leg;
use crate::state::assess::Field;
use crate::words;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use shared::payload::Attachment;
use shared::validate::{ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX};
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, FileList};

/// Used where neither the name nor the browser says what a file is; no rule lets it pass.
const TYPE_UNKNOWN: &str = "application/octet-stream";

/// The stop.
#[component]
pub fn Attachments() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let files = Memo::new(move |_| desk.draft.with(|draft| draft.attachments.clone()));
    let left_out = move || desk.draft.with(|draft| draft.left_out.join(", "));
    let is_over = RwSignal::new(false);
    let refused = RwSignal::new(None::<String>);
    let standing =
        Signal::derive(move || desk.standing(&[Field::Attachments], !files.read().is_empty()));
    let faulty = move |index: usize| {
        let prefix = format!("/attachments/{index}/");
        desk.findings(Field::Attachments)
            .iter()
            .any(|finding| format!("{}/", finding.pointer).starts_with(&prefix))
    };
    let rows = move || {
        files
            .get()
            .into_iter()
            .enumerate()
            .map(|(index, attachment)| {
                view! {
                    <FileRow
                        attachment
                        is_faulty=Signal::derive(move || faulty(index))
                        change=Callback::new(move |changed| {
                            desk.edit(Field::Attachments, |draft| {
                                if let Some(one) = draft.attachments.get_mut(index) {
                                    *one = changed;
                                }
                            });
                        })
                        remove=Callback::new(move |()| {
                            desk.edit(Field::Attachments, |draft| {
                                if index < draft.attachments.len() {
                                    draft.attachments.remove(index);
                                }
                            });
                        })
                    />
                }
            })
            .collect_view()
    };
    view! {
        <Leg title="Attachments" id="leg-attachments" standing aside="optional".to_owned()>
            <Show when=move || !left_out().is_empty()>
                <p class="banner banner-info" role="status">
                    <Icon glyph=Glyph::Info/>
                    <span>
                        {move || {
                            format!("Too large to be kept with the draft: {}. Choose again.", left_out())
                        }}
                    </span>
                </p>
            </Show>
            {rows}
            {findings(Field::Attachments)}
            {move || {
                refused.get().map(|text| view! { <p class="hint fg-bad" role="alert">{text}</p> })
            }}
            <div
                class="dropzone"
                class:is-over=move || is_over.get()
                on:dragover=move |event| {
                    event.prevent_default();
                    is_over.set(true);
                }
                on:dragleave=move |_| is_over.set(false)
                on:drop=move |event| {
                    event.prevent_default();
                    is_over.set(false);
                    take(desk, refused, event.data_transfer().and_then(|dropped| dropped.files()));
                }
            >
                <Icon glyph=Glyph::Clip/>
                <span class="grow">
                    "Drop files here, or " <Choose desk refused/>
                </span>
                <span class="small faint nowrap wide-only">
                    {format!("{} in all", words::bytes(ATTACHMENTS_BYTES_MAX))}
                </span>
            </div>
            <ByAddress desk/>
        </Leg>
    }
}

#[component]
fn Choose(desk: Desk, refused: RwSignal<Option<String>>) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    view! {
        <label class="link" for=Field::Attachments.id()>
            "choose"
        </label>
        <input
            class="sr"
            type="file"
            multiple
            id=Field::Attachments.id()
            data-testid="file-input"
            node_ref=input
            on:change=move |_| {
                if let Some(input) = input.get_untracked() {
                    take(desk, refused, input.files());
                    // So that choosing the same file again is a change again.
                    input.set_value("");
                }
            }
        />
    }
}

#[component]
fn ByAddress(desk: Desk) -> impl IntoView {
    let url = RwSignal::new(String::new());
    let add = move || {
        let address = url.get_untracked().trim().to_owned();
        if address.is_empty() {
            return;
        }
        let filename = name_of_url(&address);
        let content_type = type_of_name(&filename).unwrap_or(TYPE_UNKNOWN).to_owned();
        desk.edit(Field::Attachments, |draft| {
            draft.attachments.push(Attachment {
                content_type,
                filename,
                content: None,
                url: Some(address),
            });
        });
        url.set(String::new());
    };
    view! {
        <div class="row">
            <label class="sr" for="f-url">
                "Address of a file"
            </label>
            <input
                class="input grow"
                id="f-url"
                data-testid="url-input"
                type="url"
                autocomplete="off"
                placeholder="or an address such as https://cdn.example.com/file.pdf"
                bind:value=url
                on:keydown=move |event| {
                    if event.key() == "Enter" && !event.ctrl_key() && !event.meta_key() {
                        event.prevent_default();
                        add();
                    }
                }
            />
            <button
                type="button"
                class="b b-field"
                data-testid="url-add"
                disabled=move || url.read().trim().is_empty()
                on:click=move |_| add()
            >
                <Icon glyph=Glyph::Link/>
                "Add"
            </button>
        </div>
    }
}

/// Reads files one after the other; one that could not be sent anyway is refused before it is read.
fn take(desk: Desk, refused: RwSignal<Option<String>>, files: Option<FileList>) {
    let Some(files) = files else { return };
    let files: Vec<File> = (0..files.length()).filter_map(|index| files.get(index)).collect();
    refused.set(None);
    spawn_local(async move {
        for file in files {
            #[expect(clippy::cast_precision_loss, reason = "a limit far below 2^52")]
            let is_too_large = file.size() > ATTACHMENTS_BYTES_MAX as f64;
            if is_too_large {
                refused.set(Some(format!(
                    "{} is larger than {}, which all attachments may have together.",
                    file.name(),
                    words::bytes(ATTACHMENTS_BYTES_MAX)
                )));
                continue;
            }
            if desk.draft.with_untracked(|draft| draft.attachments.len()) >= ATTACHMENTS_MAX {
                refused
                    .set(Some(format!("A message takes at most {ATTACHMENTS_MAX} attachments.")));
                return;
            }
            let Ok(buffer) = JsFuture::from(file.array_buffer()).await else {
                refused.set(Some(format!("{} could not be read.", file.name())));
                continue;
            };
            let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
            let attachment = Attachment {
                content_type: type_of(&file),
                filename: file.name(),
                content: Some(STANDARD.encode(bytes)),
                url: None,
            };
            desk.edit(Field::Attachments, |draft| {
                draft.left_out.retain(|name| *name != attachment.filename);
                draft.attachments.push(attachment);
            });
        }
    });
}

fn type_of(file: &File) -> String {
    let by_browser = file.type_();
    match type_of_name(&file.name()) {
        Some(mime) => mime.into(),
        None if by_browser.is_empty() => TYPE_UNKNOWN.into(),
        None => by_browser,
    }
}
