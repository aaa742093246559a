//! What `validate` writes: answers on stdout, and while a long input is read a bar on stderr, if that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

/// Inputs shorter than this are done before a bar could be read.
const LONG: u64 = 4 * 1024 * 1024;
/// Messages between two looks at the bar.
const EVERY: u64 = 500;

/// Where answers and progress go.
pub struct Screen {
    out: BufWriter<StdoutLock<'static>>,
    bar: Option<ProgressBar>,
    /// True where bar and answers would stand on the same terminal.
    is_shared: bool,
    total: Option<u64>,
    seen: u64,
}

impl Screen {
    /// For inputs of `total` bytes together, where that is known.
    pub fn new(total: Option<u64>) -> Self {
        let is_shared = io::stdout().is_terminal();
        let out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
        Self { out, bar: None, is_shared, total, seen: 0 }
    }

    /// Writes an answer.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        match &self.bar {
            Some(bar) if self.is_shared => bar.suspend(|| {
                self.out.write_all(text.as_bytes())?;
                self.out.flush()
            }),
            _ => self.out.write_all(text.as_bytes()),
        }
    }

    /// Says how far reading has come.
    pub fn at(&mut self, read: u64) {
        self.seen += 1;
        if !self.seen.is_multiple_of(EVERY) {
            return;
        }
        if self.bar.is_none() && read >= LONG / 4 && self.total.is_none_or(|total| total >= LONG) {
            self.bar = Some(bar(self.total));
        }
        if let Some(bar) = &self.bar {
            bar.set_message(self.seen.to_string());
            bar.set_position(read);
        }
    }

    /// Takes the bar away and writes the rest.
    pub fn end(&mut self) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.out.flush()
    }
}

/// A bar that hides itself where stderr is no terminal.
fn bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:30} {percent:>3} %  {msg} messages  {eta} left",
        None => "{spinner} {msg} messages, {bytes}",
    };
    let style = ProgressStyle::with_template(template);
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(5));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
