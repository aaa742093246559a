//! The console: one page, drawn in the browser, that sends messages through the proxy and shows what became
//! of them. It knows no secret but the launch token and nothing of the platform.
//!
//! `pages` use `components` and `state`; `state` uses `api`; `api` uses `shared`. The arrows never turn.

mod api;
mod app;
mod browser;
mod components;
mod frame;
mod pages;
mod state;
mod words;

fn main() {
    leptos::mount::mount_to_body(app::App);
    if let Some(shell) = browser::element("shell") {
        shell.remove();
    }
}
