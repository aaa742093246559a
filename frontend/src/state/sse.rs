//! An incremental reader of `text/event-stream` (HTML standard, "Server-sent events"): bytes in, frames out.
//!
//! A frame may be cut anywhere, inside a character too. Comments are dropped: that bytes came at all is what
//! the caller takes as a sign of life.

/// One dispatched event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its `event:`, or `message`.
    pub event: String,
    /// Its `data:` lines, joined by line feeds.
    pub data: String,
}

/// What was read so far of a frame that is not complete.
#[derive(Default)]
pub struct Reader {
    line: Vec<u8>,
    after_cr: bool,
    event: String,
    data: String,
}

impl Reader {
    /// Takes the next bytes and gives every frame they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for &byte in bytes {
            let ends_line = match byte {
                // The second half of CR LF ends nothing.
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    continue;
                }
                b'\n' | b'\r' => true,
                _ => false,
            };
            self.after_cr = byte == b'\r';
            if ends_line {
                let line = std::mem::take(&mut self.line);
                frames.extend(self.end_line(&String::from_utf8_lossy(&line)));
            } else {
                self.line.push(byte);
            }
        }
        frames
    }

    fn end_line(&mut self, line: &str) -> Option<Frame> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let mut data = std::mem::take(&mut self.data);
            // Each data line added a line feed; the last one separates nothing.
            data.pop()?;
            let event = if event.is_empty() { "message".to_owned() } else { event };
            return Some(Frame { event, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const STREAM: &str = ": hi\n\nevent: hello\ndata: {\"seq\":7}\n\nid: 8\nevent: message\ndata: {\"a\":\ndata: \"é\"}\n\n";

    fn expected() -> Vec<Frame> {
        vec![
            Frame { event: "hello".into(), data: "{\"seq\":7}".into() },
            Frame { event: "message".into(), data: "{\"a\":\n\"é\"}".into() },
        ]
    }

    #[test]
    fn reads_frames_in_one_piece_and_byte_by_byte() {
        assert_eq!(Reader::default().feed(STREAM.as_bytes()), expected());
        let mut reader = Reader::default();
        let frames: Vec<Frame> = STREAM.bytes().flat_map(|byte| reader.feed(&[byte])).collect();
        assert_eq!(frames, expected());
    }

    #[test]
    fn takes_every_kind_of_line_end() {
        for end in ["\n", "\r", "\r\n"] {
            let stream = STREAM.replace('\n', end);
            assert_eq!(Reader::default().feed(stream.as_bytes()), expected(), "{end:?}");
        }
    }

    #[test]
    fn a_frame_without_data_or_without_its_end_is_none() {
        let mut reader = Reader::default();
        assert!(reader.feed(b"event: x\n\ndata: half\n").is_empty());
        assert_eq!(reader.feed(b"\n")[0].data, "half");
    }
}
