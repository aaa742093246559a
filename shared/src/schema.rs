//! The JSON Schema (2020-12) of a payload, made from its types.
//!
//! It describes what [`Payload::decode`] reads: the shape, and nothing of the rules, which need a channel and
//! packs. Two things no schema can say: a name that stands twice in one object, and how deep a value nests.

use crate::payload::Payload;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// The schema of a payload.
pub fn payload() -> Value {
    let mut parts = Vec::new();
    <Payload as ToSchema>::schemas(&mut parts);
    let mut definitions: Map<String, Value> = parts
        .into_iter()
        .map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()))
        .collect();
    definitions.insert("Value".to_owned(), value());
    let mut schema = Map::new();
    schema.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".into(), "Payload".into());
    if let Ok(Value::Object(fields)) = serde_json::to_value(Payload::schema()) {
        schema.extend(fields);
    }
    schema.insert("$defs".into(), Value::Object(definitions));
    let mut schema = Value::Object(schema);
    if let Some(Value::Object(content)) = schema.pointer_mut("/properties/content") {
        content.insert("$ref".into(), "#/$defs/Value".into());
    }
    point_to_definitions(&mut schema);
    schema
}

/// The schema as it is published: indented, with a line end.
pub fn payload_text() -> String {
    format!("{:#}\n", payload())
}

/// Any JSON value that can be passed on exactly: a whole number past 64 bits would arrive rounded.
fn value() -> Value {
    json!({
        "description": "Any JSON value; whole numbers past 64 bits are written as strings.",
        "type": ["null", "boolean", "number", "string", "array", "object"],
        "minimum": i64::MIN,
        "exclusiveMaximum": 18_446_744_073_709_551_616.0,
        "items": {"$ref": "#/$defs/Value"},
        "additionalProperties": {"$ref": "#/$defs/Value"}
    })
}

/// References as JSON Schema has them, instead of OpenAPI's.
fn point_to_definitions(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (name, one) in fields.iter_mut() {
                match one {
                    Value::String(target) if name == "$ref" => {
                        *target = target.replace("#/components/schemas/", "#/$defs/");
                    }
                    _ => point_to_definitions(one),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(point_to_definitions),
        _ => {}
    }
}
