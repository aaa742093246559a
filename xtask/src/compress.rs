//! Compresses what the browser loads once, at build time, next to the original as `.br` and `.gz`.
//! The proxy only picks one; it never compresses the console itself.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};

use crate::stamp;

/// What does not shrink (images, fonts) stays as it is.
const COMPRESSIBLE: [&str; 8] = ["html", "js", "css", "wasm", "svg", "json", "txt", "map"];

/// How hard to try.
#[derive(Clone, Copy)]
pub enum Effort {
    /// For a build somebody is waiting for.
    Quick,
    /// For what is shipped.
    Best,
}

/// Writes the compressed neighbours of every compressible file of a folder.
pub fn folder(folder: &Path, effort: Effort) -> Result<()> {
    let mut files = BTreeSet::new();
    stamp::collect(folder, &mut files)?;
    for file in files.iter().filter(|file| is_compressible(file)) {
        let content =
            fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
        write(&with_suffix(file, "br"), &brotli(&content, effort)?)?;
        write(&with_suffix(file, "gz"), &gzip(&content, effort)?)?;
    }
    Ok(())
}

/// `index.html` → `index.html.br`.
pub fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn is_compressible(file: &Path) -> bool {
    file.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| COMPRESSIBLE.contains(&extension))
}

fn brotli(content: &[u8], effort: Effort) -> Result<Vec<u8>> {
    let parameters = BrotliEncoderParams {
        quality: match effort {
            Effort::Quick => 5,
            Effort::Best => 11,
        },
        // The largest window browsers accept; the wasm file is smaller than it.
        lgwin: 24,
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters)
        .context("failed to compress with brotli")?;
    Ok(compressed)
}

fn gzip(content: &[u8], effort: Effort) -> Result<Vec<u8>> {
    let level = match effort {
        Effort::Quick => Compression::new(4),
        Effort::Best => Compression::best(),
    };
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder
        .write_all(content)
        .and_then(|()| encoder.finish())
        .context("failed to compress with gzip")
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    fs::write(file, content).with_context(|| format!("failed to write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn both_forms_come_back_as_they_were() -> Result<()> {
        let text = "one line of a page\n".repeat(200).into_bytes();
        for effort in [Effort::Quick, Effort::Best] {
            let mut back = Vec::new();
            brotli::BrotliDecompress(&mut &*brotli(&text, effort)?, &mut back)?;
            assert_eq!(back, text);
            back.clear();
            flate2::read::GzDecoder::new(&*gzip(&text, effort)?).read_to_end(&mut back)?;
            assert_eq!(back, text);
        }
        Ok(())
    }
}
