//! An operator who goes back to an older copy of the database. What was accepted, decided and learnt after the copy
//! is gone by that act, so less can be promised afterwards, and this is all of it:
//!
//! - What the copy holds is kept and comes to rest, and nothing else is there but what is posted again.
//! - Where the platform recognises keys it has nothing twice, also what is posted again under its key.
//! - Where it forgets them, it has nothing twice that the copy holds if `waybill restore` put it back, because then what
//!   was waiting is looked for first. A bare file does not know that it is old: what was waiting in it goes again.
//! - A state that says "not sent" may be wrong for what was sent after the copy, because nobody can know; where
//!   `waybill restore` put it back, only for what is not in the copy and was posted again.
//! - The sink has every entry of every message that is there, at least once, under chains that hold. No batch of the
//!   new past is in a place of the old one: another stream begins, and its first batch names one the sink took. Two
//!   things cannot be had: a copy from before the first batch begins a stream that names none, because it knows of none;
//!   and what the sink itself lost of a stream that was replaced is not missed by anybody.

use crate::life::{Life, Stage};
use crate::upstream::Upstream;
use crate::world::Dice;
use proxy::store::sqlite::backup;
use rusqlite::{Connection, OpenFlags};
use shared::id::ConnectionName;
use shared::time::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How an older copy comes into place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The file is put in the place of the other.
    File,
    /// `waybill restore`.
    Restore,
}

/// What an operator does in a run, if anything.
pub struct Operator {
    pub way: Way,
    /// The life from which on the copy is made, and the one before which it is put back.
    copied_in: u32,
    back_before: u32,
    copy: PathBuf,
    dice: Dice,
    /// Set when it was put back: the last batch of each connection that the copy holds.
    gone_back: Option<BTreeMap<String, i64>>,
}

impl Operator {
    /// What is done in a run of so many lives.
    pub fn new(seed: u64, deaths: u32, folder: &Path) -> Option<Self> {
        let mut dice = Dice::new(seed, 7);
        if deaths == 0 || !dice.percent(60) {
            return None;
        }
        let back_before = dice.within(1, deaths);
        let way = dice.one_of(&[Way::File, Way::Restore]);
        let copied_in = dice.within(0, (back_before - 1) / 2);
        let copy = folder.join("copy.sqlite");
        Some(Self { way, copied_in, back_before, copy, dice, gone_back: None })
    }

    /// True when this life is one whose doings are forgotten.
    pub fn is_before(&self, life: u32) -> bool {
        (self.copied_in..self.back_before).contains(&life)
    }

    /// True when it was put back.
    pub fn has_gone_back(&self) -> bool {
        self.gone_back.is_some()
    }
}

/// Makes the copy at some moment from this life on, mostly of a database that has an audit already.
pub fn copy(stage: &mut Stage, life: &Life) {
    let Some(operator) = &mut stage.operator else { return };
    if !operator.is_before(stage.life) || operator.copy.exists() {
        return;
    }
    let has_audit = life.number("SELECT count(*) FROM streams") > Some(0);
    if operator.dice.percent(if has_audit { 60 } else { 5 }) {
        backup::back_up(&stage.database, &operator.copy).unwrap();
        stage.world.trace("the database is copied");
    }
}

/// Puts the copy back, if it is time for that and there is one.
pub fn go_back(stage: &mut Stage, life: u32) {
    let Some(operator) = &mut stage.operator else { return };
    if operator.back_before != life || !operator.copy.exists() {
        return;
    }
    let world = &stage.world;
    let way = operator.way;
    world.trace(format_args!("an older copy of the database is put in place: {way:?}"));
    match way {
        Way::File => {
            for part in ["-wal", "-shm", ""] {
                let mut name = stage.database.clone().into_os_string();
                name.push(part);
                let _ = std::fs::remove_file(name);
            }
            std::fs::copy(&operator.copy, &stage.database).unwrap();
        }
        Way::Restore => {
            let named =
                |one: &proxy::config::ConnectionConfig| (one.name.clone(), one.policy.clone());
            let connections: Vec<(ConnectionName, _)> =
                stage.config.connections.iter().map(named).collect();
            let now = Timestamp::from_unix_ms(world.machine_ms());
            world.between_lives(|| {
                backup::restore(&stage.database, &operator.copy, &connections, now).unwrap()
            });
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let beside = Connection::open_with_flags(&operator.copy, flags).unwrap();
    let mut last =
        beside.prepare("SELECT connection, max(id) FROM audit_batches GROUP BY 1").unwrap();
    let rows = last.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    operator.gone_back = Some(rows.map(Result::unwrap).collect());
    stage.people.go_back(&beside, way == Way::Restore);
    for auditor in &stage.auditors {
        auditor.expect_another_past();
    }
}

/// What must be true of the audit of a connection after an older copy was put in place.
pub fn check_audit(
    stage: &Stage,
    beside: &Connection,
    upstream: &Upstream,
    auditor: &crate::auditor::Auditor,
) -> Result<(), String> {
    let Some((operator, copied)) =
        stage.operator.as_ref().and_then(|one| Some((one, one.gone_back.as_ref()?)))
    else {
        return Ok(());
    };
    let name = upstream.name.as_str();
    let mut query = beside
        .prepare(
            "SELECT id, stream, sequence, previous, chain, shipping FROM audit_batches \
             WHERE connection = ?1 ORDER BY id",
        )
        .unwrap();
    let batches: Vec<(i64, String, i64, String, String, String)> = query
        .query_map([name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (_, stream, sequence, previous, chain, shipping) in &batches {
        let place = format!("batch {sequence} of {stream}");
        if shipping == "acknowledged" && !auditor.took(chain) {
            return Err(format!("{place} counts as acknowledged and the sink never took it"));
        }
        let is_first = previous.bytes().all(|byte| byte == b'0');
        if *sequence == 1 && !is_first && !auditor.took(previous) {
            return Err(format!("{place} names one before it that the sink never took"));
        }
    }
    let newest: Option<(String, i64)> = beside
        .query_row("SELECT stream, replaced FROM streams WHERE connection = ?1", [name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .ok();
    let Some((stream, replaced)) = newest else { return Ok(()) };
    if operator.way == Way::Restore && copied.contains_key(name) && replaced == 0 {
        return Err(format!("no new stream of {name} began with the restore"));
    }
    // Once something was sealed after the copy, the sink's end of the stream in use is ours.
    let last_copied = copied.get(name).copied().unwrap_or(0);
    let ours: Vec<&str> = batches
        .iter()
        .filter(|one| one.1 == stream && one.5 == "acknowledged")
        .map(|one| one.4.as_str())
        .collect();
    let held = auditor.stream(&stream);
    if batches.iter().any(|one| one.1 == stream && one.0 > last_copied)
        && held.last().is_some_and(|last| !ours.contains(&last.as_str()))
    {
        return Err(format!("the sink holds another past of {stream}, and no new stream began"));
    }
    Ok(())
}
