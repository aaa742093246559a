//! The data folder: who may use it, and the few small files beside the database.
//!
//! One process at a time: the lock is held as long as [`DataFolder`] lives and is given back by the operating
//! system however the process ends. Everything in it is readable by its owner alone.

use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LOCK: &str = "lock";
const LAUNCH_TOKEN: &str = "launch-token";
const AUDIT_SECRET: &str = "audit-secret";
const ADDRESS: &str = "address";

/// An open data folder.
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// What was found when a data folder was opened.
pub enum Opened {
    /// It is ours now.
    Free(DataFolder),
    /// Another process serves it, at this address.
    Served(String),
}

impl DataFolder {
    /// Takes the folder, making it if needed. When another process holds it, waits shortly for that one to
    /// say where it serves.
    pub fn open(path: &Path) -> io::Result<Opened> {
        make_private_folder(path)?;
        let lock = private_file(&path.join(LOCK), OpenOptions::new().create(true).truncate(false))?;
        match lock.try_lock() {
            Ok(()) => {
                // Whoever wrote this is gone.
                remove(&path.join(ADDRESS))?;
                Ok(Opened::Free(Self { path: path.to_owned(), _lock: lock }))
            }
            Err(TryLockError::Error(error)) => Err(error),
            Err(TryLockError::WouldBlock) => {
                let patience = Instant::now() + Duration::from_secs(10);
                loop {
                    match std::fs::read_to_string(path.join(ADDRESS)) {
                        Ok(address) if !address.is_empty() => return Ok(Opened::Served(address)),
                        _ if Instant::now() > patience => {
                            return Err(io::Error::other(
                                "another process holds it and does not serve",
                            ));
                        }
                        _ => std::thread::sleep(Duration::from_millis(50)),
                    }
                }
            }
        }
    }

    /// A path inside the folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Says where this process serves, for whoever starts a second one.
    pub fn write_address(&self, address: &str) -> io::Result<()> {
        replace(&self.path.join(ADDRESS), address)
    }

    /// The launch token, made at the first start.
    pub fn launch_token(&self) -> io::Result<SecretString> {
        read_or_make(&self.path.join(LAUNCH_TOKEN))
    }

    /// Where the launch token is kept.
    pub fn launch_token_path(&self) -> PathBuf {
        self.path.join(LAUNCH_TOKEN)
    }

    /// The audit secret for those who configured none, made at the first start.
    pub fn audit_secret(&self) -> io::Result<SecretString> {
        read_or_make(&self.path.join(AUDIT_SECRET))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path.join(ADDRESS));
    }
}

/// The launch token of a folder, whether or not somebody serves it.
pub fn launch_token_of(path: &Path) -> io::Result<SecretString> {
    make_private_folder(path)?;
    read_or_make(&path.join(LAUNCH_TOKEN))
}

/// Replaces the launch token; links with the old one stop working.
pub fn rotate_launch_token(path: &Path) -> io::Result<SecretString> {
    make_private_folder(path)?;
    let token = new_secret();
    replace(&path.join(LAUNCH_TOKEN), token.expose_secret())?;
    Ok(token)
}

fn new_secret() -> SecretString {
    SecretString::from(hex::encode(crate::clock::random::<32>()))
}

fn read_or_make(path: &Path) -> io::Result<SecretString> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 32 => Ok(SecretString::from(text.trim().to_owned())),
        Ok(_) => {
            Err(io::Error::other(format!("{} is too short to be safe; remove it", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = new_secret();
            replace(path, made.expose_secret())?;
            Ok(made)
        }
        Err(error) => Err(error),
    }
}

/// Writes a whole file or none of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = private_file(&beside, OpenOptions::new().create(true).truncate(true))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn private_file(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.open(path)
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    if !path.exists() {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            // An empty folder holds nothing that others could have read or planted.
            if std::fs::read_dir(path)?.next().is_some() {
                return Err(io::Error::other("others can open it; run chmod 700 on it"));
            }
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
        }
    }
    Ok(())
}

/// The secret kept in a file, for a program that is given its path.
pub fn read_secret(path: &Path) -> io::Result<SecretString> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}
