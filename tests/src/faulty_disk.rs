//! A disk that fails when a test says so, under the real binary: see `faulty_disk.c`.
//!
//! The library is compiled with the machine's C compiler, which is there because SQLite is compiled with it.

use crate::Place;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The disk of every process that is started in a place from now on.
pub struct FaultyDisk {
    order: PathBuf,
}

/// A call of the operating system that fails with EIO for the database's log.
#[derive(Clone, Copy, Debug)]
pub enum Failing {
    /// Bytes are not taken.
    Write,
    /// Bytes were taken, and nobody knows what became of them.
    Sync,
}

impl FaultyDisk {
    /// Puts it under the processes of this place. It works until it is told to fail.
    pub fn under(place: &mut Place) -> Self {
        preload(place);
        let order = place.path("faulty-disk");
        place.set("FAULTY_DISK", &order.display().to_string());
        Self { order }
    }

    /// From now on this call fails.
    pub fn fail(&self, call: Failing) {
        let word = match call {
            Failing::Write => "write",
            Failing::Sync => "sync",
        };
        fs::write(&self.order, word).expect("an order can be given");
    }

    /// It works again.
    pub fn mend(&self) {
        fs::remove_file(&self.order).expect("an order was given");
    }
}

/// Makes the data folder read-only for every process that is started in this place from now on.
pub fn read_only_data(place: &mut Place) {
    preload(place);
    let data = place.data();
    place.set("FAULTY_DISK_READ_ONLY", &data.display().to_string());
}

fn preload(place: &mut Place) {
    let source = place.write("faulty_disk.c", include_bytes!("faulty_disk.c"));
    let library = place.path("faulty_disk.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .expect("there is a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    place.set("LD_PRELOAD", &library.display().to_string());
}
