//! The one allow-list of attachment types: what each is called, and whether bytes are of it.
//!
//! The signatures are the `infer` crate's; what is kept here is which of its answers agree with a declared type.
//! A file is never opened further than its first bytes: what it holds is the recipient's business.

/// How the first bytes show a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bytes {
    /// The signature library calls it one of these.
    Called(&'static [&'static str]),
    /// It begins like this at byte 4, which the signature library does not know.
    At4(&'static [u8]),
    /// Text has no signature: it is enough that it is nothing else and holds no NUL.
    Text,
}

/// A file type a message may carry.
#[derive(Debug)]
pub struct FileType {
    /// MIME type as the payload names it.
    pub mime: &'static str,
    /// What people call it.
    pub label: &'static str,
    /// Extensions that agree with it, lower case, the usual one first.
    pub extensions: &'static [&'static str],
    bytes: Bytes,
}

const fn of(
    mime: &'static str,
    label: &'static str,
    extensions: &'static [&'static str],
    bytes: Bytes,
) -> FileType {
    FileType { mime, label, extensions, bytes }
}

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const PPTX: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
// Office files are archives whose first entry differs from program to program, so any archive will do.
const ZIP: &str = "application/zip";

/// Every type that can be sent. A pack says which of them its channel carries.
pub const FILE_TYPES: &[FileType] = &[
    of("application/pdf", "PDF", &["pdf"], Bytes::Called(&["application/pdf"])),
    of("image/png", "PNG", &["png"], Bytes::Called(&["image/png"])),
    of("image/jpeg", "JPEG", &["jpg", "jpeg"], Bytes::Called(&["image/jpeg"])),
    of("image/gif", "GIF", &["gif"], Bytes::Called(&["image/gif"])),
    of("image/webp", "WebP", &["webp"], Bytes::Called(&["image/webp"])),
    of("text/plain", "text", &["txt"], Bytes::Text),
    of("text/csv", "CSV", &["csv"], Bytes::Text),
    of(DOCX, "Word", &["docx"], Bytes::Called(&[DOCX, ZIP])),
    of(XLSX, "Excel", &["xlsx"], Bytes::Called(&[XLSX, ZIP])),
    of(PPTX, "PowerPoint", &["pptx"], Bytes::Called(&[PPTX, ZIP])),
    of("audio/mpeg", "MP3", &["mp3"], Bytes::Called(&["audio/mpeg"])),
    of("audio/mp4", "M4A", &["m4a"], Bytes::Called(&["audio/m4a", "video/mp4", "video/x-m4v"])),
    of("audio/aac", "AAC", &["aac"], Bytes::Called(&["audio/aac"])),
    of("audio/amr", "AMR", &["amr"], Bytes::Called(&["audio/amr"])),
    of("audio/ogg", "Ogg", &["ogg", "oga", "opus"], Bytes::Called(&["audio/ogg", "audio/opus"])),
    of("video/mp4", "MP4", &["mp4"], Bytes::Called(&["video/mp4", "video/x-m4v"])),
    of("video/3gpp", "3GP", &["3gp"], Bytes::At4(b"ftyp3g")),
];

/// The allow-list entry for a MIME type written in lower case.
pub fn file_type(mime: &str) -> Option<&'static FileType> {
    FILE_TYPES.iter().find(|known| known.mime == mime)
}

impl FileType {
    /// True where `bytes`, the whole file, begin like a file of this type.
    pub fn agrees(&self, bytes: &[u8]) -> bool {
        match self.bytes {
            Bytes::Called(names) => {
                infer::get(bytes).is_some_and(|found| names.contains(&found.mime_type()))
            }
            Bytes::At4(beginning) => bytes.get(4..).is_some_and(|rest| rest.starts_with(beginning)),
            Bytes::Text => {
                let is_other = infer::get(bytes)
                    .is_some_and(|found| found.matcher_type() != infer::MatcherType::Text);
                !is_other && !bytes.contains(&0)
            }
        }
    }
}

/// What the signature library calls `bytes`, for a finding's words.
pub(crate) fn sniffed(bytes: &[u8]) -> Option<&'static str> {
    infer::get(bytes).map(|found| found.mime_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The beginning of one file of every type that has a signature.
    const BEGINNINGS: [(&str, &[u8]); 15] = [
        ("application/pdf", b"%PDF-1.7\n"),
        ("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
        ("image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF"),
        ("image/gif", b"GIF89a\x01\0\x01\0"),
        ("image/webp", b"RIFF\x24\0\0\0WEBPVP8 "),
        (DOCX, b"PK\x03\x04\x14\0\0\0\x08\0"),
        (XLSX, b"PK\x03\x04\x14\0\0\0\x08\0"),
        (PPTX, b"PK\x03\x04\x14\0\0\0\x08\0"),
        ("audio/mpeg", b"ID3\x04\0\0\0\0\0\0"),
        ("audio/mp4", b"\0\0\0\x20ftypM4A \0\0\0\0"),
        ("audio/aac", b"\xff\xf1\x50\x80\0\x1f\xfc"),
        ("audio/amr", b"#!AMR\n\x3c\0\0\0\0\0"),
        ("audio/ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0"),
        ("video/mp4", b"\0\0\0\x20ftypisom\0\0\x02\0"),
        ("video/3gpp", b"\0\0\0\x14ftyp3gp5\0\0\0\0"),
    ];

    #[test]
    fn a_type_knows_its_own_beginning_and_no_picture_passes_for_another() {
        for (mime, bytes) in BEGINNINGS {
            assert!(file_type(mime).unwrap().agrees(bytes), "{mime}");
            for other in FILE_TYPES.iter().filter(|other| other.mime.starts_with("image/")) {
                assert_eq!(other.agrees(bytes), other.mime == mime, "{mime} as {}", other.mime);
            }
        }
    }

    #[test]
    fn text_is_what_is_nothing_else() {
        let text = file_type("text/csv").unwrap();
        assert!(text.agrees("a,b\nä,ö\n".as_bytes()) && text.agrees(b"<html>") && text.agrees(b""));
        assert!(!text.agrees(b"a\0b"));
        assert!(!text.agrees(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0>\0"));
        assert!(!text.agrees(b"%PDF-1.7"));
    }
}
