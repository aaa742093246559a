//! The API described: as OpenAPI for programs, and as a plain page for people that loads nothing from
//! anywhere, because it is written here from the same description.

use super::{
    audit, budget, connections, events, messages, options, rules, sandbox, schemas, sla,
    submissions, validate,
};
use axum::Json;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;
use std::fmt::Write as _;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Waybill",
        description = "Send messages through Genesys Cloud conversations and watch what becomes of them. Every call needs Authorization: Bearer TOKEN with the launch token. Errors are application/problem+json with a stable code."
    ),
    paths(
        submissions::create_submission,
        submissions::find_submission,
        validate::validate_payload,
        rules::list_rules,
        schemas::find_payload_schema,
        messages::list_messages,
        messages::count_messages,
        messages::find_message,
        messages::cancel_message,
        messages::retry_message,
        messages::decide_message,
        submissions::resend_message,
        events::stream_events,
        connections::list_connections,
        connections::resume_connection,
        connections::list_conversations,
        connections::find_conversation,
        sla::report_sla,
        audit::list_batches,
        audit::export_batches,
        audit::resume_shipping,
        options::find_options,
        budget::list_budgets,
        sandbox::forward,
        find_openapi,
    )
)]
struct Description;

/// This description, as OpenAPI in JSON.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "connections",
    responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn find_openapi() -> Response {
    Json(Description::openapi()).into_response()
}

/// The description as a page.
pub async fn reference() -> Response {
    let description = serde_json::to_value(Description::openapi()).unwrap_or_default();
    let policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(page(&description))).into_response()
}

/// The page's looks.
pub async fn reference_css() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("reference.css"))
        .into_response()
}

fn page(description: &Value) -> String {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Waybill API</title>\
         <link rel=\"stylesheet\" href=\"/reference.css\"></head><body><main>",
    );
    let _ = write!(
        html,
        "<h1>Waybill API</h1><p>{}</p>",
        escape(text(&description["info"]["description"]))
    );
    for (path, methods) in fields(&description["paths"]) {
        for (method, call) in fields(methods) {
            let _ = write!(
                html,
                "<h2><code>{} {}</code></h2>",
                escape(&method.to_uppercase()),
                escape(path)
            );
            let _ = write!(
                html,
                "<p>{} {}</p>",
                escape(text(&call["summary"])),
                escape(text(&call["description"]))
            );
            html.push_str("<ul>");
            for parameter in call["parameters"].as_array().into_iter().flatten() {
                let _ = write!(
                    html,
                    "<li><code>{}</code> ({}{}) {}</li>",
                    escape(text(&parameter["name"])),
                    escape(text(&parameter["in"])),
                    if parameter["required"] == true { ", required" } else { "" },
                    escape(text(&parameter["description"])),
                );
            }
            if let Some(schema) = call.pointer("/requestBody/content/application~1json/schema") {
                let _ = write!(html, "<li>body: {}</li>", link(schema));
            }
            for (status, response) in fields(&call["responses"]) {
                let schema = response.pointer("/content/application~1json/schema").map(link);
                let _ = write!(
                    html,
                    "<li>{}: {} {}</li>",
                    escape(status),
                    schema.unwrap_or_default(),
                    escape(text(&response["description"])),
                );
            }
            html.push_str("</ul>");
        }
    }
    html.push_str("<h2>Types</h2>");
    for (name, schema) in fields(&description["components"]["schemas"]) {
        let _ = write!(
            html,
            "<h3 id=\"{0}\"><code>{0}</code></h3><p>{1}</p><ul>",
            escape(name),
            escape(text(&schema["description"]))
        );
        let parts =
            schema["allOf"].as_array().map_or_else(|| vec![schema], |all| all.iter().collect());
        for part in parts {
            if part.get("$ref").is_some() {
                let _ = write!(html, "<li>everything of {}</li>", link(part));
            }
            for (field, kind) in fields(&part["properties"]) {
                let _ = write!(
                    html,
                    "<li><code>{}</code>: {} {}</li>",
                    escape(field),
                    link(kind),
                    escape(text(&kind["description"])),
                );
            }
        }
        for word in schema["enum"].as_array().into_iter().flatten() {
            let _ = write!(html, "<li><code>{}</code></li>", escape(text(word)));
        }
        html.push_str("</ul>");
    }
    html.push_str("</main></body></html>");
    html
}

/// A type's name, linked where it is one of ours.
fn link(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{0}\">{0}</a>", escape(name));
    }
    if let Some(either) = schema["oneOf"].as_array() {
        let names: Vec<String> = either.iter().map(link).collect();
        return names.join(" or ");
    }
    if schema["type"] == "array" {
        return format!("list of {}", link(&schema["items"]));
    }
    match &schema["type"] {
        Value::String(kind) => escape(kind),
        Value::Array(kinds) => escape(&kinds.iter().map(text).collect::<Vec<_>>().join(" or ")),
        _ => "any".into(),
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
