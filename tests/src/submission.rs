//! Bodies of submissions, and keys for them.

use serde_json::{Value, json};
use shared::simulator::{GUIDE_CONVERSATION, SMS_CONVERSATION};

/// The threshold under which a text message of SMS is one part.
pub const SMS_SENDER: &str = "+447700900001";
/// The customer of the SMS conversation that always delivers.
pub const SMS_RECIPIENT: &str = "+447700900010";
/// The customer of the conversation in which everything fails.
pub const FAILING_RECIPIENT: &str = "+447700900999";

/// A plain text into a conversation.
pub fn text(connection: &str, conversation: &str, from: &str, to: &str, text: &str) -> Value {
    json!({
        "connection": connection,
        "conversation_id": conversation,
        "payload": { "from": from, "to": [to], "type": "text/plain", "content": text },
    })
}

/// A plain text into the guide's own example conversation of the in-process sandbox.
pub fn guide(content: &str) -> Value {
    text("sandbox", GUIDE_CONVERSATION, "agent@genesys.cloud", "customer@example.com", content)
}

/// A plain text into the quick SMS conversation of the in-process sandbox.
pub fn sms(content: &str) -> Value {
    text("sandbox", SMS_CONVERSATION, SMS_SENDER, SMS_RECIPIENT, content)
}

/// A key nobody else has: the name of the thing and the place in a list.
pub fn key(name: &str, number: usize) -> String {
    format!("e2e-{name}-{number:04}")
}

/// Bytes as the content of an attachment.
pub fn base64(bytes: &[u8]) -> String {
    base64::engine::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
