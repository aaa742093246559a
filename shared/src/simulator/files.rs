//! Files of simulated messages: a type the channel carries, a name that agrees with it, and an address or bytes
//! that begin like such a file.

use super::draws::Draws;
use super::scenario::{Files, MimeType};
use super::weighted;
use crate::payload::Attachment;
use crate::rules::{FILE_TYPES, FileType, Pack};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The files of one message, as many and as large as the pack allows beside a text of `text_bytes`.
pub(super) fn attachments(
    draws: &mut Draws,
    files: &Files,
    pack: &Pack,
    text_bytes: usize,
) -> Vec<Attachment> {
    let number = draws.below(10_000);
    if draws.below(100) >= files.percent {
        return Vec::new();
    }
    let count = draws.within(1, files.most);
    let mut room = pack.attachments_bytes_max.value;
    if pack.parts.is_some() {
        // With files it is an MMS, whose limit is of files and text together.
        room = room.saturating_sub(text_bytes);
    }
    let carried = |mime: MimeType| pack.media(mime.0.mime).is_some();
    let mut made: Vec<Attachment> = Vec::new();
    for position in 0..count {
        let wanted = files.types.iter().filter(|(mime, _)| carried(**mime));
        let kind = weighted(draws, wanted.map(|(mime, weight)| (mime.0, weight)));
        let kind = kind.or_else(|| substitute(pack));
        let is_by_value = draws.below(100) < files.by_value_percent;
        let bytes = usize::try_from(draws.within(files.bytes[0], files.bytes[1])).unwrap_or(0);
        let Some(kind) = kind.filter(|_| made.len() < pack.attachments_max.value) else { break };
        // Two files of one message have names of their own.
        let filename = name(kind, number + position * 10_000);
        let by_value = |room: &mut usize| {
            let largest = pack.media(kind.mime).map_or(0, |media| media.bytes_max).min(*room);
            let file = file(kind, bytes, largest)?;
            *room -= file.len();
            Some(Attachment {
                content_type: kind.mime.to_owned(),
                filename: filename.clone(),
                content: Some(STANDARD.encode(file)),
                url: None,
            })
        };
        let by_address = || pack.urls.value.then(|| by_address(kind, &filename));
        let attachment = if is_by_value {
            by_value(&mut room).or_else(by_address)
        } else {
            by_address().or_else(|| by_value(&mut room))
        };
        made.extend(attachment);
    }
    made
}

/// A file at the address simulated files have.
pub(super) fn by_address(kind: &FileType, filename: &str) -> Attachment {
    Attachment {
        content_type: kind.mime.to_owned(),
        filename: filename.to_owned(),
        content: None,
        url: Some(format!("https://cdn.example.com/files/{filename}")),
    }
}

/// The smallest file of its type by value; `None` where the channel takes none so large.
pub(super) fn smallest(kind: &FileType, filename: &str, pack: &Pack) -> Option<Attachment> {
    let media = pack.media(kind.mime)?;
    let largest = media.bytes_max.min(pack.attachments_bytes_max.value);
    Some(Attachment {
        content_type: kind.mime.to_owned(),
        filename: filename.to_owned(),
        content: Some(STANDARD.encode(file(kind, 0, largest)?)),
        url: None,
    })
}

/// The first type of the allow-list that the channel carries.
pub(super) fn substitute(pack: &Pack) -> Option<&'static FileType> {
    FILE_TYPES.iter().find(|kind| pack.media(kind.mime).is_some())
}

/// What file number `number` of a type is called.
pub(super) fn name(kind: &FileType, number: u32) -> String {
    let stem = match kind.mime.split_once('/').map_or("", |(of, _)| of) {
        "image" => "picture",
        "audio" => "voice",
        "video" => "clip",
        "text" => "notes",
        _ => "document",
    };
    format!("{stem}-{number}.{}", kind.extensions.first().copied().unwrap_or_default())
}

/// A file of about `wanted` bytes and at most `largest`; `None` where not even its beginning fits.
fn file(kind: &FileType, wanted: usize, largest: usize) -> Option<Vec<u8>> {
    let beginning = beginning(kind.mime);
    if beginning.len() > largest {
        return None;
    }
    let mut file = beginning.to_vec();
    let size = wanted.clamp(file.len(), largest);
    let filler = b"a simulated file, made to be looked at by nobody\n";
    file.extend(filler.iter().cycle().take(size - file.len()));
    Some(file)
}

/// How a file of a type begins; enough of it for any program to know it by.
fn beginning(mime: &str) -> &'static [u8] {
    match mime {
        "application/pdf" => b"%PDF-1.7\n",
        "image/png" => b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "image/jpeg" => b"\xff\xd8\xff\xe0\0\x10JFIF",
        "image/gif" => b"GIF89a\x01\0\x01\0",
        "image/webp" => b"RIFF\x24\0\0\0WEBPVP8 ",
        "text/plain" => b"a",
        "text/csv" => b"a,b\n",
        "audio/mpeg" => b"ID3\x04\0\0\0\0\0\0",
        "audio/mp4" => b"\0\0\0\x20ftypM4A \0\0\0\0",
        "audio/aac" => b"\xff\xf1\x50\x80\0\x1f\xfc",
        "audio/amr" => b"#!AMR\n\x3c\0\0\0\0\0",
        "audio/ogg" => b"OggS\0\x02\0\0\0\0\0\0\0\0",
        "video/mp4" => b"\0\0\0\x20ftypisom\0\0\x02\0",
        "video/3gpp" => b"\0\0\0\x14ftyp3gp5\0\0\0\0",
        // What is left on the allow-list are office files, which are archives.
        _ => b"PK\x03\x04\x14\0\0\0\x08\0",
    }
}
