//! The page for a browser without a token, or with one the proxy no longer takes: how to open Waybill.

use crate::components::icon::{Glyph, Icon};
use crate::components::logo::Logo;
use crate::pages::Place;
use crate::state::session::Session;
use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// Says how to open Waybill, and takes a pasted link or token.
#[component]
pub fn OpenWithLink(session: Session) -> impl IntoView {
    let path = use_location().pathname;
    let pasted = RwSignal::new(String::new());
    let open = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        session.open(&pasted.get());
    };
    view! {
        <main class="gate" data-testid="open-with-link">
            <section class="dialog" aria-labelledby="gate-title">
                <div class="dialog-head stack">
                    <span class="brand">
                        <Logo/>
                        "Waybill"
                    </span>
                    <h1 id="gate-title">"Open Waybill with its link"</h1>
                </div>
                <form class="dialog-body" on:submit=open>
                    <Show when=move || session.refused.get()>
                        <p class="banner banner-warn" role="alert">
                            <Icon glyph=Glyph::Warn/>
                            <span>
                                "The token this browser kept is no longer valid. It was probably rotated."
                            </span>
                        </p>
                    </Show>
                    <p>
                        "Waybill opens by a link that carries a token. Run "
                        <code>"waybill serve"</code>
                        " again: it prints the link, also while it is already running."
                    </p>
                    <div class="field">
                        <label class="label" for="gate-link">
                            "Link or token"
                        </label>
                        <input
                            class="input mono"
                            id="gate-link"
                            autocomplete="off"
                            spellcheck="false"
                            placeholder="http://127.0.0.1:8787/#token=…"
                            bind:value=pasted
                        />
                    </div>
                    <div class="row">
                        <a class="small" href=move || Place::lab_from(&path.read()) data-testid="gate-lab">
                            "The Lab opens without it"
                        </a>
                        <span class="push"></span>
                        <button class="b b-main" type="submit" disabled=move || pasted.read().trim().is_empty()>
                            "Open"
                        </button>
                    </div>
                </form>
            </section>
        </main>
    }
}
