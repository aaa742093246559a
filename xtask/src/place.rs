//! Where things are: the workspace, its target folder, the per-user cache, programs on `PATH`.
//! The target folder is the one cargo really uses, wherever the environment or a configuration file moved it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::command;

/// The folders every command works with, all absolute.
pub struct Place {
    /// The workspace root.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// Tools brought for this project, shared by every clone of it.
    pub tools: PathBuf,
}

impl Place {
    /// Finds the folders.
    pub fn find() -> Result<Place> {
        let root = find_root()?;
        let target = find_target(&root)?;
        let cache = env::var_os("XDG_CACHE_HOME")
            .filter(|path| Path::new(path).is_absolute())
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cache")))
            .context("no home folder: set XDG_CACHE_HOME to an absolute folder for the tools")?;
        Ok(Place { root, target, tools: cache.join("waybill").join("tools") })
    }

    /// The text of a file of the workspace.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path))
            .with_context(|| format!("failed to read {path}"))
    }
}

/// `cargo run` says where this package is; without it we look upwards.
fn find_root() -> Result<PathBuf> {
    if let Some(package) = env::var_os("CARGO_MANIFEST_DIR")
        && let Some(root) = Path::new(&package).parent()
    {
        return Ok(root.to_owned());
    }
    let here = env::current_dir().context("failed to read the current folder")?;
    here.ancestors()
        .find(|folder| folder.join("xtask/Cargo.toml").is_file())
        .map(Path::to_owned)
        .context("not inside the workspace: start it with `cargo xtask` from there")
}

fn find_target(root: &Path) -> Result<PathBuf> {
    let metadata = command::capture(
        Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(root.join("Cargo.toml")),
    )?;
    // One field of one document: not worth a JSON parser in what is compiled first.
    let Some((_, rest)) = metadata.split_once(r#""target_directory":""#) else {
        bail!("`cargo metadata` names no target folder");
    };
    let path = rest.split('"').next().unwrap_or_default();
    Ok(PathBuf::from(path.replace(r"\\", r"\")))
}

/// The first of these programs that is on `PATH`, as an absolute path.
pub fn find_program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    names.iter().find_map(|name| {
        env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    })
}

/// `PATH` with these folders before everything else.
pub fn path_with(first: &[&Path]) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = first.iter().map(|folder| folder.to_path_buf()).chain(env::split_paths(&path));
    env::join_paths(folders).context("a folder name with a colon cannot be put on PATH")
}
