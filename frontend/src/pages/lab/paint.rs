//! Puts the editor's lines on the page and changes only those that changed: a keystroke in a long payload
//! touches one line.

use super::ink::{Ink, Line, Mark, Piece, same_ends};
use wasm_bindgen::JsCast;
use web_sys::{Document, Element, Node};

/// What is on the page.
#[derive(Default)]
pub struct Painter {
    shown: Vec<Line>,
}

impl Painter {
    /// Makes `layer` show `lines`; it holds nothing but lines of this painter.
    pub fn paint(&mut self, layer: &Element, lines: Vec<Line>) {
        let Some(document) = layer.owner_document() else { return };
        let (head, tail) = same_ends(&self.shown, &lines);
        let children = layer.children();
        let gone = self.shown.len() - head - tail;
        let more = &lines[head..lines.len() - tail];
        // Lines that were there before and still are get new pieces; the rest goes or comes.
        for line in more.iter().take(gone).enumerate() {
            let (index, line) = line;
            if let Some(element) = item(&children, head + index) {
                fill(&document, &element, line);
            }
        }
        for _ in more.len()..gone {
            if let Some(element) = item(&children, head + more.len()) {
                element.remove();
            }
        }
        if more.len() > gone {
            let before = item(&children, head + gone);
            let before = before.as_ref().map(AsRef::<Node>::as_ref);
            for line in &more[gone..] {
                if let Ok(element) = document.create_element("div") {
                    fill(&document, &element, line);
                    let _ = layer.insert_before(&element, before);
                }
            }
        }
        self.shown = lines;
    }
}

fn item(children: &web_sys::HtmlCollection, index: usize) -> Option<Element> {
    children.item(u32::try_from(index).ok()?)
}

fn fill(document: &Document, element: &Element, line: &Line) {
    element.set_class_name(match line.mark {
        None => "",
        Some(Mark::Warn) => "is-warn",
        Some(Mark::Bad) => "is-bad",
    });
    element.set_text_content(None);
    for piece in &line.pieces {
        if let Some(node) = node(document, piece) {
            let _ = element.append_child(&node);
        }
    }
    if line.pieces.is_empty() {
        // An empty line has a height, too.
        let _ = element.append_child(&document.create_text_node("\u{200b}"));
    }
}

fn node(document: &Document, piece: &Piece) -> Option<Node> {
    let class = class(piece);
    if class.is_empty() {
        return Some(document.create_text_node(&piece.text).unchecked_into());
    }
    let span = document.create_element("span").ok()?;
    span.set_class_name(&class);
    span.set_text_content(Some(&piece.text));
    Some(span.unchecked_into())
}

fn class(piece: &Piece) -> String {
    let ink = match piece.ink {
        Ink::Plain => "",
        Ink::Name => "k",
        Ink::Text => "s",
        Ink::Value => "v",
        Ink::Sign => "p",
        Ink::Hole => "hole-ink",
    };
    match piece.mark {
        None => ink.to_owned(),
        Some(Mark::Warn) => format!("{ink} warned"),
        Some(Mark::Bad) => format!("{ink} bad"),
    }
}
