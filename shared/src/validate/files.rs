//! What travels with it.

use super::url::check_https;
use super::{ATTACHMENTS_BYTES_MAX, ATTACHMENTS_MAX, Judge, all_of, one_of, quoted};
use crate::address::is_invisible;
use crate::payload::Attachment;
use crate::rules::catalogue as rule;
use crate::rules::{FILE_TYPES, FileType, file_type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;

/// Longest file name in bytes.
const FILENAME_BYTES_MAX: usize = 255;

impl Judge<'_> {
    pub(super) fn attachments(&mut self) {
        let files = &self.payload.attachments;
        let (max, source) = match self.pack {
            Some(pack) => (pack.attachments_max.value, pack.attachments_max.source.as_str()),
            None => (ATTACHMENTS_MAX, "Waybill's own limit"),
        };
        let channel = self.pack.map_or("A message", |pack| pack.channel.label());
        if files.len() > max {
            let (count, max) = (files.len().to_string(), max.to_string());
            let values = [
                ("count", count.as_str()),
                ("max", &max),
                ("channel", channel),
                ("source", source),
            ];
            self.found(&rule::ATTACHMENTS_TOO_MANY, "/attachments", &values);
            // Many more than can be sent are a mistake as a whole, and each may be large.
            if files.len() > ATTACHMENTS_MAX {
                return;
            }
        }
        let mut names = HashSet::new();
        let mut bytes_total = 0;
        for (index, attachment) in files.iter().enumerate() {
            let pointer = format!("/attachments/{index}");
            bytes_total += self.attachment(attachment, &pointer);
            if !attachment.filename.is_empty() && !names.insert(attachment.filename.to_lowercase())
            {
                let value = quoted(&attachment.filename);
                let pointer = format!("{pointer}/filename");
                self.found(&rule::ATTACHMENT_DUPLICATE, pointer, &[("value", &value)]);
            }
        }
        let (mut max, mut source) = (ATTACHMENTS_BYTES_MAX, "Waybill's own limit");
        if let Some(pack) = self.pack {
            (max, source) = (pack.attachments_bytes_max.value, &pack.attachments_bytes_max.source);
            if pack.parts.is_some() && bytes_total > 0 {
                // With files it is an MMS, whose limit is of files and text together.
                bytes_total += self.payload.text().map_or(0, str::len);
            }
        }
        if bytes_total > max {
            let (count, max) = (bytes_total.to_string(), max.to_string());
            let values = [
                ("count", count.as_str()),
                ("max", &max),
                ("channel", channel),
                ("source", source),
            ];
            self.found(&rule::ATTACHMENTS_TOO_LARGE, "/attachments", &values);
        }
    }

    /// Findings of one attachment; returns its decoded size.
    fn attachment(&mut self, attachment: &Attachment, pointer: &str) -> usize {
        self.filename(attachment, pointer);
        let known = file_type(&attachment.content_type);
        match known {
            None => {
                let value = quoted(&attachment.content_type);
                let all: Vec<&str> = FILE_TYPES.iter().map(|one| one.label).collect();
                let values = [("value", value.as_str()), ("types", &one_of(&all))];
                self.found(&rule::ATTACHMENT_TYPE, format!("{pointer}/type"), &values);
            }
            Some(known) => self.agrees(attachment, known, pointer),
        }
        match (&attachment.content, &attachment.url) {
            (Some(content), None) => return self.file(content, known, pointer),
            (None, Some(url)) => self.url(url, pointer),
            (both, _) => {
                let value = if both.is_some() { "both" } else { "neither" };
                self.found(&rule::ATTACHMENT_SOURCE, pointer, &[("value", value)]);
            }
        }
        0
    }

    /// Whether the type is one the channel carries, and the name's extension one of the type.
    fn agrees(&mut self, attachment: &Attachment, known: &FileType, pointer: &str) {
        if let Some(pack) = self.pack
            && pack.media(known.mime).is_none()
        {
            let carried: Vec<&str> = FILE_TYPES
                .iter()
                .filter(|one| pack.media(one.mime).is_some())
                .map(|one| one.label)
                .collect();
            let types = if carried.is_empty() { "no files".to_owned() } else { all_of(&carried) };
            let source = pack.media.first().map_or("this proxy's settings", |one| &one.source);
            let value = format!("{} files", known.label);
            let values = [
                ("channel", pack.channel.label()),
                ("value", &value),
                ("types", &types),
                ("source", source),
            ];
            self.found(&rule::ATTACHMENT_CHANNEL, format!("{pointer}/type"), &values);
        }
        let extension =
            attachment.filename.rsplit_once('.').map(|(_, after)| after.to_ascii_lowercase());
        if !extension.is_some_and(|one| known.extensions.contains(&one.as_str())) {
            let value = quoted(&attachment.filename);
            let usual = known.extensions.first().copied().unwrap_or_default();
            let values = [("value", value.as_str()), ("type", known.mime), ("extension", usual)];
            self.found(&rule::ATTACHMENT_EXTENSION, format!("{pointer}/filename"), &values);
        }
    }

    fn url(&mut self, url: &str, pointer: &str) {
        let pointer = format!("{pointer}/url");
        if let Some(pack) = self.pack
            && !pack.urls.value
        {
            let values = [("dialect", pack.dialect.as_str()), ("source", &pack.urls.source)];
            self.found(&rule::ATTACHMENT_URL_DIALECT, &pointer, &values);
        }
        if let Err(problem) = check_https(url) {
            self.found(&rule::ATTACHMENT_URL, pointer, &[("problem", problem)]);
        }
    }

    fn file(&mut self, content: &str, known: Option<&FileType>, pointer: &str) -> usize {
        let pointer = format!("{pointer}/content");
        let bytes = match STANDARD.decode(content) {
            Ok(bytes) => bytes,
            Err(error) => {
                let problem = base64_problem(&error, content);
                self.found(&rule::ATTACHMENT_BASE64, pointer, &[("problem", &problem)]);
                return 0;
            }
        };
        if bytes.is_empty() {
            self.found(&rule::ATTACHMENT_EMPTY, pointer, &[]);
            return 0;
        }
        let Some(known) = known else { return bytes.len() };
        if !known.agrees(&bytes) {
            let found = match crate::rules::sniffed(&bytes) {
                Some(mime) => file_type(mime).map_or(mime, |one| one.label),
                None => "something else",
            };
            let values = [("found", found), ("type", known.label)];
            self.found(&rule::ATTACHMENT_BYTES, &pointer, &values);
        }
        if let Some(pack) = self.pack
            && let Some(media) = pack.media(known.mime)
            && bytes.len() > media.bytes_max
        {
            let (count, max) = (bytes.len().to_string(), media.bytes_max.to_string());
            let kind = format!("{} files", known.label);
            let values = [
                ("channel", pack.channel.label()),
                ("count", &count),
                ("max", &max),
                ("type", &kind),
                ("source", &media.source),
            ];
            self.found(&rule::ATTACHMENT_SIZE, &pointer, &values);
        }
        bytes.len()
    }

    fn filename(&mut self, attachment: &Attachment, pointer: &str) {
        let name = attachment.filename.as_str();
        let pointer = format!("{pointer}/filename");
        if let Some(problem) = filename_problem(name) {
            let value = quoted(name);
            let values = [("value", value.as_str()), ("problem", problem)];
            self.found(&rule::ATTACHMENT_FILENAME, &pointer, &values);
        }
        if let Some(forbidden) = self.pack.and_then(|pack| pack.filename_forbidden.as_ref())
            && let Some(character) = name.chars().find(|one| forbidden.value.contains(*one))
        {
            let character = if character == ' ' {
                "a space".to_owned()
            } else {
                quoted(&character.to_string())
            };
            let value = quoted(name);
            let values = [
                ("value", value.as_str()),
                ("character", &character),
                ("source", &forbidden.source),
            ];
            self.found(&rule::ATTACHMENT_FILENAME_CHARACTERS, &pointer, &values);
        }
    }
}

fn base64_problem(error: &base64::DecodeError, content: &str) -> String {
    use base64::DecodeError;
    match error {
        DecodeError::InvalidByte(at, _) => {
            let character = content.get(*at..).and_then(|rest| rest.chars().next());
            let shown = match character {
                Some('=') => "padding".to_owned(),
                Some(one) if one.is_ascii_graphic() => quoted(&one.to_string()),
                Some(' ') => "a space".to_owned(),
                Some('\n' | '\r') => "a line break".to_owned(),
                _ => "a character of another alphabet".to_owned(),
            };
            format!("{shown} at character {}", at + 1)
        }
        DecodeError::InvalidLength(length) => {
            format!("{length} characters are not a multiple of four")
        }
        DecodeError::InvalidLastSymbol(at, _) => {
            format!("the last character, at {}, says more than the file holds", at + 1)
        }
        DecodeError::InvalidPadding => "the padding at its end is missing or wrong".to_owned(),
    }
}

/// Why a file name is not safe to save on any machine.
fn filename_problem(name: &str) -> Option<&'static str> {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_reserved = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || (stem.len() == 4
            && (stem.starts_with("COM") || stem.starts_with("LPT"))
            && stem.ends_with(|last: char| last.is_ascii_digit()));
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > FILENAME_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if name.contains(['/', '\\', ':']) {
        "it holds a path"
    } else if name.starts_with('.') || name.ends_with(['.', ' ']) {
        "it starts or ends with a dot or ends with a space"
    } else if name.chars().any(is_invisible) {
        "it holds an invisible character"
    } else if name.contains(['<', '>', '"', '|', '?', '*']) {
        "it holds one of < > \" | ? *"
    } else if is_reserved {
        "it is a reserved name on Windows"
    } else if has_hidden_extension(name) {
        "it hides a program behind another extension"
    } else {
        return None;
    };
    Some(problem)
}

fn has_hidden_extension(name: &str) -> bool {
    const PROGRAMS: [&str; 16] = [
        "exe", "bat", "cmd", "scr", "js", "vbs", "msi", "ps1", "sh", "jar", "lnk", "pif", "hta",
        "wsf", "dmg", "apk",
    ];
    name.to_ascii_lowercase().split('.').skip(1).any(|part| PROGRAMS.contains(&part.trim()))
}
