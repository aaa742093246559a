//! What the columns of a table mean, and the message each row is.
//!
//! Without a template the columns are the payload's fields: `from`, `to` (several recipients separated by `;`),
//! `type` and `content`, and where they are wanted `channel` and the four of one attachment. With a template they
//! are its values, and `channel` beside them. An empty cell is no value: a default takes its place, and where
//! there is none the hole is a finding.

use super::{Fault, Row};
use crate::channel::Channel;
use crate::finding::{Finding, Severity};
use crate::json::strict_value;
use crate::payload::{APPLICATION_JSON, Attachment, Payload};
use crate::rules::FILE_TYPES;
use crate::rules::catalogue;
use crate::rules::reading::{
    PAYLOAD_JSON, ReadingRule, TABLE_COLUMN, TABLE_DUPLICATE, TABLE_HEADER, TABLE_MISSING,
    TABLE_SEPARATOR,
};
use crate::template::{self, Values};
use crate::validate::{finding, quoted};
use serde_json::Value;
use std::ops::Range;

const CHANNEL: &str = "channel";
const REQUIRED: [&str; 4] = ["from", "to", "type", "content"];
const OPTIONAL: [&str; 5] =
    [CHANNEL, "attachment_type", "attachment_filename", "attachment_content", "attachment_url"];

/// The columns of a table, and what they are for.
#[derive(Debug, Clone)]
pub struct Columns {
    names: Vec<String>,
    template: Option<Template>,
}

#[derive(Debug, Clone)]
struct Template {
    payload: Payload,
    /// The names it has places for.
    names: Vec<String>,
}

/// A row as a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What it says; judged by nobody yet.
    pub payload: Payload,
    /// The channel it names for itself.
    pub channel: Option<Channel>,
    /// What was wrong with making it: errors, because the payload is not the one that was meant.
    pub findings: Vec<Finding>,
}

impl Columns {
    /// Reads the header of a table of payloads, or of values for a template. All that is wrong with it comes
    /// back; an error among it means that no row can be read.
    pub fn read<'a>(
        header: &Row<'a>,
        template: Option<&Payload>,
    ) -> (Option<Columns>, Vec<Fault<'a>>) {
        let mut faults = Vec::new();
        let fault = |finding: Finding, bytes: Range<usize>| Fault {
            finding,
            row: header.number,
            line: header.line,
            text: header.text.into(),
            bytes,
        };
        if let [only] = header.fields.as_slice()
            && let Some((_, word)) = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")]
                .iter()
                .find(|(mark, _)| only.value.contains(*mark))
        {
            faults.push(fault(TABLE_SEPARATOR.found("", &[("value", word)]), only.bytes.clone()));
            return (None, faults);
        }
        let mut names: Vec<String> = Vec::new();
        for (index, field) in header.fields.iter().enumerate() {
            let name = field.value.trim();
            if name.is_empty() {
                let number = (index + 1).to_string();
                let found = TABLE_HEADER.found("", &[("number", &number)]);
                faults.push(fault(found, field.bytes.clone()));
            } else if names.iter().any(|known| known == name) {
                let found = TABLE_DUPLICATE.found("", &[("value", &quoted(name))]);
                faults.push(fault(found, field.bytes.clone()));
            }
            names.push(name.to_owned());
        }
        let whole = 0..header.text.len();
        let wanted: Vec<(String, bool)> = match template {
            None => {
                let required = REQUIRED.iter().map(|name| ((*name).to_owned(), true));
                required.chain(OPTIONAL.iter().map(|name| ((*name).to_owned(), false))).collect()
            }
            Some(template) => template::wanted(template)
                .into_iter()
                .map(|one| (one.name, one.is_required))
                .collect(),
        };
        for (name, _) in wanted.iter().filter(|(name, required)| *required && !names.contains(name))
        {
            let found = match template {
                None => TABLE_MISSING.found("", &[("value", &quoted(name))]),
                Some(_) => {
                    finding(&catalogue::TEMPLATE_MISSING, String::new(), &[("value", name)], "")
                }
            };
            faults.push(fault(found, whole.clone()));
        }
        let known = |name: &str| wanted.iter().any(|(one, _)| one == name);
        for (name, field) in names.iter().zip(&header.fields) {
            if name.is_empty() || known(name) || (template.is_some() && name == CHANNEL) {
                continue;
            }
            let found = match template {
                // As in a payload: what is misspelled must not be lost.
                None => unknown_column(&TABLE_COLUMN, name, &wanted),
                Some(_) => {
                    finding(&catalogue::TEMPLATE_UNUSED, String::new(), &[("value", name)], "")
                }
            };
            faults.push(fault(found, field.bytes.clone()));
        }
        let can_go_on = faults.iter().all(|one| one.finding.severity != Severity::Error);
        let template = template.map(|payload| Template {
            payload: payload.clone(),
            names: wanted.into_iter().map(|(name, _)| name).collect(),
        });
        let columns = Columns { names, template };
        (can_go_on.then_some(columns), faults)
    }

    /// The message a row is.
    pub fn message(&self, row: &Row) -> Message {
        let is_value = self.template.as_ref().is_some_and(|one| one.has(CHANNEL));
        let channel = if is_value { None } else { self.cell(row, CHANNEL) };
        let channel = channel.filter(|name| !name.trim().is_empty());
        let channel = channel.map(|name| Channel::parse(name.trim()));
        match &self.template {
            Some(template) => {
                let filled = template::fill(&template.payload, &self.values(row, template));
                Message { payload: filled.payload, channel, findings: filled.findings }
            }
            None => {
                let (payload, findings) = self.payload(row);
                Message { payload, channel, findings }
            }
        }
    }

    /// The values a row has for the template; those it does not name are left out.
    fn values(&self, row: &Row, template: &Template) -> Values {
        let named = self.names.iter().zip(&row.fields);
        named
            .filter(|(name, field)| !field.value.is_empty() && template.has(name))
            .map(|(name, field)| (name.clone(), field.value.clone().into_owned()))
            .collect()
    }

    fn payload(&self, row: &Row) -> (Payload, Vec<Finding>) {
        let cell = |name| self.cell(row, name).unwrap_or_default();
        let mut findings = Vec::new();
        let content_type = cell("type").to_owned();
        let content = if content_type == APPLICATION_JSON {
            json(cell("content")).unwrap_or_else(|problem| {
                findings.push(PAYLOAD_JSON.found("/content", &[("problem", &problem)]));
                Value::Null
            })
        } else {
            cell("content").into()
        };
        let to = cell("to");
        let to = if to.trim().is_empty() {
            Vec::new()
        } else {
            to.split(';').map(|one| one.trim().to_owned()).collect()
        };
        let given = |name| self.cell(row, name).filter(|text| !text.is_empty());
        let [url, content_of, name, kind] =
            ["attachment_url", "attachment_content", "attachment_filename", "attachment_type"]
                .map(given);
        let attachment = [url, content_of, name, kind].iter().any(Option::is_some).then(|| {
            let filename = name.unwrap_or_else(|| url.map_or("", last_segment));
            Attachment {
                content_type: kind.unwrap_or_else(|| type_by_name(filename)).to_owned(),
                filename: filename.to_owned(),
                content: content_of.map(str::to_owned),
                url: url.map(str::to_owned),
            }
        });
        let from = cell("from").to_owned();
        let attachments = attachment.into_iter().collect();
        (Payload { from, to, content_type, content, attachments }, findings)
    }

    /// Where in the row stands what `pointer` (RFC 6901) means in its message; the whole row where no one field
    /// does.
    pub fn place(&self, row: &Row, pointer: &str) -> Range<usize> {
        let mut segments = pointer.split('/').skip(1);
        let first = segments.next().unwrap_or_default();
        let column = match &self.template {
            Some(template) => value_at(&template.payload, pointer).and_then(|text| {
                let written = template::first_placeholder(text)?;
                let inside = written.trim_start_matches('{').trim_end_matches('}');
                Some(inside.split('|').next().unwrap_or_default().trim().to_owned())
            }),
            None if first == "attachments" => {
                let field = segments.nth(1).unwrap_or_default();
                Some(format!("attachment_{field}")).filter(|name| self.cell(row, name).is_some())
            }
            None => Some(first.to_owned()),
        };
        let index = column.and_then(|column| self.names.iter().position(|name| *name == column));
        let field = index.and_then(|index| row.fields.get(index));
        field.map_or(0..row.text.len(), |field| field.bytes.clone())
    }

    fn cell<'r>(&self, row: &'r Row, name: &str) -> Option<&'r str> {
        let index = self.names.iter().position(|one| one == name)?;
        row.fields.get(index).map(|field| &*field.value)
    }
}

impl Template {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|one| one == name)
    }
}

/// The finding for a column nobody asked for, with the name it may be meant for.
fn unknown_column(rule: &ReadingRule, name: &str, wanted: &[(String, bool)]) -> Finding {
    let same = |one: &str| one.replace(['_', '-', ' '], "").to_lowercase();
    let meant = wanted.iter().find(|(one, _)| same(one) == same(name));
    let hint = match meant {
        Some((meant, _)) => format!("Name it {meant}."),
        None => "Remove it, or give a template with --template that uses it.".to_owned(),
    };
    rule.found("", &[("value", &quoted(name)), ("hint", &hint)])
}

fn json(text: &str) -> Result<Value, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    strict_value(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| error.to_string())
}

/// The text at a pointer of a template.
fn value_at<'a>(template: &'a Payload, pointer: &str) -> Option<&'a str> {
    let segments: Vec<&str> = pointer.split('/').skip(1).collect();
    match segments.as_slice() {
        ["from"] => Some(&template.from),
        ["to", index] => template.to.get(index.parse::<usize>().ok()?).map(String::as_str),
        ["content", ..] => template.content.pointer(&pointer["/content".len()..])?.as_str(),
        ["attachments", index, field] => {
            let file = template.attachments.get(index.parse::<usize>().ok()?)?;
            match *field {
                "filename" => Some(&file.filename),
                "url" => file.url.as_deref(),
                _ => None,
            }
        }
        _ => None,
    }
}

fn last_segment(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// The type that goes with a name's extension; empty, and so a finding, where none does.
fn type_by_name(filename: &str) -> &'static str {
    let extension = filename.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let found = FILE_TYPES.iter().find(|one| one.extensions.contains(&extension.as_str()));
    found.map_or("", |one| one.mime)
}
