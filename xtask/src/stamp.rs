//! Knows whether anything a build is made from has changed: a hash over names and contents, kept in a small file.
//! Contents and not times, so that a checkout, a branch switch and back, or a touched file costs nothing.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Hashes these files and folders of the root, and some words about how they are built.
pub fn of(root: &Path, sources: &[&str], how: &[&str]) -> Result<String> {
    let mut files = BTreeSet::new();
    for source in sources {
        collect(&root.join(source), &mut files)?;
    }
    let mut hasher = DefaultHasher::new();
    how.hash(&mut hasher);
    for file in files {
        let content =
            fs::read(&file).with_context(|| format!("failed to read {}", file.display()))?;
        file.strip_prefix(root).unwrap_or(&file).hash(&mut hasher);
        content.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// All files below a path, hidden ones left out (editors keep theirs there); a missing path has none.
pub fn collect(path: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.insert(path.to_owned());
    } else if path.is_dir() {
        let entries =
            fs::read_dir(path).with_context(|| format!("failed to read {}", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("failed to read {}", path.display()))?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                collect(&entry.path(), files)?;
            }
        }
    }
    Ok(())
}
