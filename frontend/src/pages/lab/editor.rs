//! The editor: the browser's own text field, so that undo, selection, spelling aids and screen readers work as
//! everywhere, over a layer that draws the same text in colours with line numbers and marks beside it.

use super::desk::Desk;
use super::ink;
use super::judge::Spot;
use super::paint::Painter;
use leptos::html;
use leptos::prelude::*;
use std::ops::Range;
use web_sys::HtmlTextAreaElement;

/// Identifier of the field.
pub const FIELD: &str = "lab-payload";
/// Identifier of the box that scrolls.
const BOX: &str = "lab-editor";

/// The field and its layers.
#[component]
pub fn Editor() -> impl IntoView {
    let desk = expect_context::<Desk>();
    let layer = NodeRef::<html::Div>::new();
    let painter = StoredValue::new_local(Painter::default());
    Effect::new(move |_| {
        let judged = desk.judged.get();
        let Some(layer) = layer.get() else { return };
        let lines = desk.state.with_untracked(|state| ink::lines(&state.payload, &judged.marks));
        painter.update_value(|painter| painter.paint(&layer, lines));
    });
    // True while the field is ahead of what was judged. A browser that sees elements go while a key is handled
    // takes the next key for another step of undo, so all that follows from typing waits for the next frame.
    let is_ahead = StoredValue::new(false);
    let follow = move || {
        if is_ahead.try_set_value(false).is_some() {
            return;
        }
        if let Some(area) = desk.area.get_untracked() {
            let typed = area.value();
            desk.state.update(|state| state.payload = typed);
        }
    };
    // Only what did not come from the field goes into it: writing it back would move the caret.
    Effect::new(move |_| {
        let Some(area) = desk.area.get() else { return };
        desk.state.with(|state| {
            if !is_ahead.get_value() && area.value() != state.payload {
                area.set_value(&state.payload);
            }
        });
    });
    let next = move || {
        let Some(area) = desk.area.get_untracked() else { return };
        let at = area.selection_start().ok().flatten().unwrap_or_default();
        desk.judged.with_untracked(|judged| {
            let mut spots: Vec<&Spot> =
                judged.findings.iter().filter_map(|placed| placed.spot.as_ref()).collect();
            spots.sort_by_key(|spot| spot.units.start);
            let next = spots.iter().find(|spot| spot.units.start > at).or(spots.first());
            if let Some(spot) = next {
                desk.go(spot);
            }
        });
    };
    view! {
        <div class="lab-editor" id=BOX>
            <div class="lab-paper">
                <div class="lab-ink" aria-hidden="true" node_ref=layer></div>
                <textarea
                    id=FIELD
                    data-testid="lab-editor"
                    node_ref=desk.area
                    aria-label="Payload as JSON. F8 goes to the next finding."
                    aria-describedby="lab-verdict"
                    aria-invalid=move || (desk.judged.read().counts.0 > 0).to_string()
                    spellcheck="false"
                    autocapitalize="off"
                    autocomplete="off"
                    wrap="soft"
                    on:input=move |_| {
                        if !is_ahead.get_value() {
                            is_ahead.set_value(true);
                            request_animation_frame(follow);
                        }
                    }
                    on:keydown=move |event| {
                        if event.key() == "F8" {
                            event.prevent_default();
                            next();
                        }
                    }
                ></textarea>
            </div>
        </div>
    }
}

/// Replaces what lies between two places of the field, as typing would. False where the browser does not do that.
pub fn type_into(area: &HtmlTextAreaElement, units: Range<u32>, text: &str) -> bool {
    let _ = area.focus();
    if area.set_selection_range(units.start, units.end).is_err() {
        return false;
    }
    crate::browser::insert_text(text)
}

/// Selects a place and brings its line into view.
pub fn select(area: &HtmlTextAreaElement, spot: &Spot) {
    let options = web_sys::FocusOptions::new();
    options.set_prevent_scroll(true);
    let _ = area.focus_with_options(&options);
    let _ = area.set_selection_range(spot.units.start, spot.units.end);
    let line = crate::browser::element(BOX)
        .and_then(|scroller| scroller.query_selector(".lab-ink").ok().flatten())
        .and_then(|layer| layer.children().item(u32::try_from(spot.line.saturating_sub(1)).ok()?));
    if let Some(line) = line {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Nearest);
        line.scroll_into_view_with_scroll_into_view_options(&options);
    }
}
