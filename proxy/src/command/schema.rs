//! `waybill schema`: the JSON Schema of a payload, for editors and programs.

use super::Exit;

/// Prints it.
pub fn schema() -> Exit {
    super::print(&shared::schema::payload_text())
}
