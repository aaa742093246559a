//! Documents that are made from the code are as the code is, and the payload's schema says what the reader reads.
//! `UPDATE_SNAPSHOTS=1 cargo test -p proxy --test documents` writes the documents anew.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test would")]

use serde_json::{Value, json};
use shared::payload::Payload;
use shared::rules::example::repeated;
use std::fs;
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn assert_document(name: &str, made: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(path, made).unwrap();
        return;
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    let first = committed.lines().zip(made.lines()).position(|(one, other)| one != other);
    assert!(
        committed == made,
        "docs/{name} differs from line {:?} on; write it with UPDATE_SNAPSHOTS=1",
        first.map(|line| line + 1)
    );
}

#[test]
fn the_reference_of_the_rules_is_not_stale() {
    assert_document("rules.md", &proxy::command::rules_reference());
}

#[test]
fn the_published_schema_is_not_stale() {
    assert_document("payload.schema.json", &shared::schema::payload_text());
}

/// The payloads of all vectors.
fn vectors() -> Vec<Value> {
    let mut payloads = Vec::new();
    for entry in fs::read_dir(root().join("vectors")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // The one list among them is of texts and not of payloads.
        if let Some(cases) = file["cases"].as_array() {
            payloads.extend(cases.iter().map(|case| repeated(case["payload"].clone())));
        }
    }
    assert!(payloads.len() >= 600, "{} vectors", payloads.len());
    payloads
}

/// A validator by other hands.
fn validator() -> jsonschema::Validator {
    let schema = shared::schema::payload();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Whether schema and reader both take it; they must agree.
fn both_take(validator: &jsonschema::Validator, payload: &Value) -> bool {
    let bytes = serde_json::to_vec(payload).unwrap();
    let read = Payload::decode(&bytes);
    let is_valid = validator.is_valid(payload);
    let shown: String = String::from_utf8_lossy(&bytes).chars().take(300).collect();
    assert_eq!(read.is_ok(), is_valid, "{shown}: {:?}", read.err());
    is_valid
}

#[test]
fn schema_and_reader_agree_on_every_vector() {
    let validator = validator();
    let vectors = vectors();
    let taken = vectors.iter().filter(|payload| both_take(&validator, payload)).count();
    assert!(taken > 0);
}

/// What vectors cannot show, because each of them has to be a payload: every field of every shape they have, left
/// out, misspelled and of every other type.
#[test]
fn schema_and_reader_agree_on_what_is_no_payload() {
    let validator = validator();
    let others = [
        json!(null),
        json!(true),
        json!(7),
        json!("text"),
        json!([]),
        json!(["text", 7]),
        json!({}),
        json!({"a": [null]}),
        json!(1.5e300),
        json!({"deep": [18_446_744_073_709_551_615_u64, {"deeper": -2.0e19}]}),
    ];
    let mut refused = 0;
    for payload in vectors().iter().step_by(120).filter(|payload| payload.to_string().len() < 5_000)
    {
        for pointer in pointers(payload) {
            for other in &others {
                let mut changed = payload.clone();
                *changed.pointer_mut(&pointer).unwrap() = other.clone();
                refused += usize::from(!both_take(&validator, &changed));
            }
            let (parent, name) = pointer.rsplit_once('/').unwrap_or(("", ""));
            let mut changed = payload.clone();
            if let Some(Value::Object(fields)) = changed.pointer_mut(parent) {
                let value = fields.shift_remove(name);
                both_take(&validator, &changed);
                if let (Some(Value::Object(fields)), Some(value)) =
                    (changed.pointer_mut(parent), value)
                {
                    fields.insert(format!("{name}s"), value);
                }
                both_take(&validator, &changed);
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
}

/// A pointer to every value in `value`, itself included.
fn pointers(value: &Value) -> Vec<String> {
    let mut all = vec![String::new()];
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, one)| (index.to_string(), one)).collect()
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, one)| (name.replace('~', "~0").replace('/', "~1"), one))
            .collect(),
        _ => Vec::new(),
    };
    for (name, one) in inner {
        all.extend(pointers(one).into_iter().map(|below| format!("/{name}{below}")));
    }
    all
}
