//! Bytes of an input as they arrive: only what is still needed is kept, and what was used up is counted in bytes,
//! lines and columns.

use std::io::{self, Read};

/// Bytes asked for at once; more when what is kept has outgrown it.
const PIECE: usize = 64 * 1024;

/// An input, and the part of it that is being looked at.
pub struct Buffer<R> {
    input: R,
    kept: Vec<u8>,
    start: usize,
    is_last: bool,
    /// Bytes used up.
    pub used: u64,
    /// The line of the next byte, from 1.
    pub line: u64,
    /// The column of the next byte in characters, from 1.
    pub column: u64,
}

impl<R: Read> Buffer<R> {
    /// Nothing of `input` has been read yet.
    pub fn new(input: R) -> Self {
        let kept = Vec::new();
        Self { input, kept, start: 0, is_last: false, used: 0, line: 1, column: 1 }
    }

    /// What has arrived and is not used up.
    pub fn bytes(&self) -> &[u8] {
        &self.kept[self.start..]
    }

    /// True when nothing arrives after [`Buffer::bytes`].
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Waits for more; after the last byte, [`Buffer::is_last`] is true.
    pub fn more(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.kept.drain(..self.start);
            self.start = 0;
        }
        let have = self.kept.len();
        // As much again as there is, so that looking at it from its start again costs twice and not ever more.
        self.kept.resize(have + have.max(PIECE), 0);
        let read = loop {
            match self.input.read(&mut self.kept[have..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.kept.truncate(have + *read.as_ref().unwrap_or(&0));
        self.is_last = read? == 0;
        Ok(())
    }

    /// The first `count` bytes are done with.
    pub fn use_up(&mut self, count: usize) {
        let done = &self.kept[self.start..self.start + count];
        for byte in done {
            match byte {
                b'\n' => {
                    self.line += 1;
                    self.column = 1;
                }
                // A character is counted by its first byte.
                0x80..0xc0 => {}
                _ => self.column += 1,
            }
        }
        self.start += count;
        self.used += count as u64;
    }

    /// Everything before the first byte that `is_wanted`.
    pub fn use_up_to(&mut self, is_wanted: impl Fn(u8) -> bool) -> io::Result<Option<u8>> {
        loop {
            let at = self.bytes().iter().position(|byte| is_wanted(*byte));
            match at {
                Some(at) => {
                    self.use_up(at);
                    return Ok(self.bytes().first().copied());
                }
                None => self.use_up(self.bytes().len()),
            }
            if self.is_last {
                return Ok(None);
            }
            self.more()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_those_of_the_next_byte() {
        let mut buffer = Buffer::new("é1\n  x".as_bytes());
        buffer.more().unwrap();
        buffer.more().unwrap();
        assert!(buffer.is_last());
        buffer.use_up("é1".len());
        assert_eq!((buffer.line, buffer.column), (1, 3));
        assert_eq!(buffer.use_up_to(|byte| byte == b'x').unwrap(), Some(b'x'));
        assert_eq!((buffer.line, buffer.column, buffer.used), (2, 3, 6));
        assert_eq!(buffer.use_up_to(|byte| byte == b'y').unwrap(), None);
    }
}
