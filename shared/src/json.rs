//! Strict reading of JSON that came from outside: size and depth bounded, unknown and duplicate fields
//! refused, every error with the place it stands at.
//!
//! Derived types refuse unknown and duplicate fields by themselves (`deny_unknown_fields`); [`strict_value`]
//! gives free-form values the same promise, because `serde_json` would silently keep the last duplicate.

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

/// The largest request body that is read, in bytes (8 MiB).
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Why bytes are not the JSON that was asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("line {line}, column {column}, at {}: {message}", if pointer.is_empty() { "the top" } else { pointer })]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecodeError {
    /// JSON pointer (RFC 6901) to the value at fault; empty for the whole document.
    pub pointer: String,
    /// Line of the fault, from 1; 0 where there is no place.
    pub line: usize,
    /// Column of the fault, from 1; 0 where there is no place.
    pub column: usize,
    /// What is wrong, in words.
    pub message: String,
}

/// Reads one JSON document of at most [`BODY_BYTES_MAX`] bytes and nothing after it.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    if bytes.len() > BODY_BYTES_MAX {
        return Err(DecodeError {
            pointer: String::new(),
            line: 0,
            column: 0,
            message: format!("{} bytes are more than the {BODY_BYTES_MAX} allowed", bytes.len()),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        located(pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| located(String::new(), &error))?;
    Ok(value)
}

fn located(pointer: String, error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(head, _)| head).to_owned();
    DecodeError { pointer, line: error.line(), column: error.column(), message }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&escape_segment(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// One name as a JSON pointer segment: `~` and `/` escaped.
pub fn escape_segment(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Reads these types from JSON objects alone. What serde derives takes a list as well, field by field, and so a
/// list of five things would be a payload. The types derive with `#[serde(remote = "Self")]`, which makes what is
/// derived functions of the type itself.
macro_rules! objects_only {
    ($($name:ident: $expecting:literal),* $(,)?) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        access: A,
                    ) -> Result<$name, A::Error> {
                        $name::deserialize(serde::de::value::MapAccessDeserializer::new(access))
                    }
                }
                deserializer.deserialize_map(Fields)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $name::serialize(self, serializer)
            }
        }
    )*};
}
pub(crate) use objects_only;

/// Where a value stands in a JSON text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its bytes in the text, quotes and brackets included.
    pub bytes: Range<usize>,
    /// Line of its first character, from 1.
    pub line: usize,
    /// Column of its first character, from 1, in characters.
    pub column: usize,
}

impl Place {
    /// The place of these bytes of `text`.
    pub fn of(text: &str, bytes: Range<usize>) -> Self {
        let before = text.get(..bytes.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            bytes,
        }
    }
}

/// Finds the value that `pointer` (RFC 6901) means in `text`. Where it is missing, the place is that of the
/// nearest value around it; `None` where the text is not JSON.
pub fn locate(text: &str, pointer: &str) -> Option<Place> {
    let mut found: &RawValue = serde_json::from_str(text).ok()?;
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        let inner = match found.get().as_bytes().first() {
            Some(b'{') => serde_json::from_str::<Fields>(found.get()).ok()?.0.remove(&*name),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(found.get()).ok()?;
                name.parse().ok().and_then(|index: usize| items.get(index).copied())
            }
            _ => None,
        };
        match inner {
            Some(inner) => found = inner,
            None => break,
        }
    }
    // What was read is a part of the text, so the difference of their addresses is its place.
    let start = found.get().as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    Some(Place::of(text, start..start + found.get().len()))
}

/// The fields of an object, each as it is written; of a name that occurs twice, the last.
struct Fields<'a>(HashMap<String, &'a RawValue>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        HashMap::deserialize(deserializer).map(Fields)
    }
}

/// A free-form JSON value in which no object names a field twice.
pub fn strict_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Strict::deserialize(deserializer).map(|strict| strict.0)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // Whole numbers past 64 bits arrive here already rounded: sending them on would change what was said.
        // The least of 64 bits itself is read as a whole number; as a decimal it stands for others near it, too.
        let is_exact = value > -9_223_372_036_854_775_808.0 && value < 18_446_744_073_709_551_616.0;
        if value.fract() == 0.0 && !is_exact {
            return Err(E::custom(
                "number too large to be passed on exactly; write it as a string",
            ));
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(de::Error::custom(format!("duplicate field `{name}`")));
            }
            let Strict(value) = access.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payload;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn fault(text: &str) -> DecodeError {
        decode::<Payload>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn names_the_place_of_a_fault() {
        let error = fault("{\"from\":\"a\",\n \"to\":[\"b\", 7]}");
        assert_eq!((error.pointer.as_str(), error.line), ("/to/1", 2));
        assert!(error.message.contains("expected a string"), "{error}");
    }

    #[test]
    fn refuses_unknown_and_duplicate_fields_at_any_depth() {
        let head = r#"{"from":"a","to":["b"],"type":"application/json","content":"#;
        assert!(fault(&format!("{head}1,\"extra\":1}}")).message.contains("unknown field `extra`"));
        assert!(
            fault(&format!("{head}1,\"from\":\"c\"}}")).message.contains("duplicate field `from`")
        );
        for list in [
            r#"["a",["b"],"text/plain","Hello",[]]"#,
            r#"{"from":"a","to":["b"],"type":"text/plain","content":"c","attachments":[["image/png","a.png",null,null]]}"#,
        ] {
            assert!(fault(list).message.contains("expected an object"), "{}", fault(list));
        }
        let error = fault(&format!("{head}{{\"x\":{{\"y\":1,\"y\":2}}}}}}"));
        assert!(error.message.contains("duplicate field `y`"), "{error}");
        assert_eq!(error.pointer, "/content/x");
    }

    #[test]
    fn bounds_depth_and_refuses_what_follows() {
        let deep = format!(
            r#"{{"from":"a","to":["b"],"type":"application/json","content":{}1{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert!(fault(&deep).message.contains("recursion limit"));
        for text in ["", "null", "[]", "7", "\u{feff}{}", r#"{"from":"\ud800"}"#] {
            assert!(decode::<Payload>(text.as_bytes()).is_err(), "{text}");
        }
        assert!(decode::<Payload>(b"{\"from\":\"\xff\"}").is_err());
    }

    #[test]
    fn finds_the_place_of_a_pointer() {
        let text = "{\n  \"to\": [\"a\", \"ü\", {\"x/y\": 1}],\n  \"é\": 2, \"z\": {}\n}";
        let at = |pointer: &str| {
            let place = locate(text, pointer).unwrap();
            (&text[place.bytes], place.line, place.column)
        };
        assert_eq!(at("/to/1"), ("\"ü\"", 2, 15));
        assert_eq!(at("/to/2/x~1y"), ("1", 2, 28));
        assert_eq!(at("/é"), ("2", 3, 8));
        assert_eq!(at("/z"), ("{}", 3, 16));
        // What is missing is shown where it would be.
        assert_eq!(at("/to/7").0, "[\"a\", \"ü\", {\"x/y\": 1}]");
        assert_eq!(at("/z/from").0, "{}");
        assert_eq!(at("/to/0/deeper").0, "\"a\"");
        assert_eq!((at("").1, at("").2), (1, 1));
        assert_eq!(locate("{\"a\": ", "/a"), None);
    }

    #[test]
    fn a_number_that_cannot_be_passed_on_exactly_is_refused() {
        let text = r#"{"from":"a","to":["b"],"type":"application/json","content":123456789012345678901234567890}"#;
        assert!(fault(text).message.contains("too large"));
        let of = |number: &str| {
            let head = r#"{"from":"a","to":["b"],"type":"application/json","content":"#;
            decode::<Payload>(format!("{head}{number}}}").as_bytes()).is_ok()
        };
        assert!(
            of("18446744073709551615")
                && of("-9223372036854775808")
                && of("-1.5e300") == of("1.5e300")
        );
        assert!(!of("18446744073709551616") && !of("-9223372036854775809"));
        // What is no whole number past 64 bits is passed on as well as it can be.
        assert!(of("1.0") && of("-1.0") && of("0.5") && of("-1.5e18") && of("1e18"));
    }

    #[test]
    fn takes_eight_mebibytes_and_not_one_byte_more() {
        assert_eq!(BODY_BYTES_MAX, 8_388_608);
        let mut text = r#"{"from":"a","to":["b"],"type":"text/plain","content":"c"}"#.to_owned();
        text.push_str(&" ".repeat(BODY_BYTES_MAX - text.len()));
        assert!(decode::<Payload>(text.as_bytes()).is_ok());
        text.push(' ');
        assert!(fault(&text).message.contains("8388609 bytes are more than"), "{}", fault(&text));
    }
}
