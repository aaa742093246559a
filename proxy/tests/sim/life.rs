//! One process: the real store, the real workers and the real routes on simulated time, from its start to
//! its death.

use crate::auditor::{self, Auditor};
use crate::network::{Desk, Network};
use crate::people::{Deed, People, TOKEN};
use crate::rollback::{self, Operator};
use crate::upstream::Upstream;
use crate::world::{Dice, World, queueing};
use axum::Router;
use proxy::access::Access;
use proxy::config::Config;
use proxy::console::Console;
use proxy::engine::{Connection, Engine};
use proxy::platform::http::Authority;
use proxy::platform::{Connected, Endpoint, TokenSource, connect_guide};
use proxy::router::{AppState, router};
use proxy::store::Store;
use proxy::store::sqlite::Sqlite;
use proxy::worker;
use proxy::worker::ship::Post;
use rusqlite::OpenFlags;
use secrecy::SecretString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{advance, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything of a run that outlives its processes.
pub struct Stage {
    pub world: Arc<World>,
    pub config: Config,
    pub upstreams: Vec<Arc<Upstream>>,
    pub auditors: Vec<Arc<Auditor>>,
    pub people: Arc<People>,
    pub database: std::path::PathBuf,
    /// When people do something, what, and how often the clock jumps.
    pub dice: Dice,
    pub next_deed_at: i64,
    pub operator: Option<Operator>,
    /// The number of the process that lives.
    pub life: u32,
}

impl Stage {
    /// True when an older copy of the database was put in place.
    pub fn has_gone_back(&self) -> bool {
        self.operator.as_ref().is_some_and(Operator::has_gone_back)
    }
}

/// A process that runs.
pub struct Life {
    pub engine: Arc<Engine>,
    pub router: Router,
    store: Arc<Sqlite>,
    /// What is committed, seen from beside the store.
    pub beside: rusqlite::Connection,
}

impl Life {
    /// Starts the process on what the last one left.
    pub async fn start(stage: &Stage) -> Self {
        // A task of its own, because the process may die in it.
        let database = stage.database.clone();
        let opened =
            tokio::spawn(async move { Sqlite::open_in_line(&database, queueing).unwrap() });
        let Ok(sqlite) = opened.await else { return std::future::pending().await };
        let sqlite = Arc::new(sqlite);
        let store: Arc<dyn Store> = Arc::clone(&sqlite) as _;
        let connections = stage
            .config
            .connections
            .iter()
            .zip(stage.upstreams.iter().zip(&stage.auditors))
            .map(|(settings, (upstream, auditor))| {
                let connected = connect_guide(Endpoint {
                    api_url: "http://127.0.0.1:9".into(),
                    login_url: "http://127.0.0.1:9".into(),
                    client_id: "id".into(),
                    client_secret: SecretString::from("secret"),
                    requests_per_minute: settings.requests_per_minute,
                })
                .unwrap();
                let (budget, gate) = (connected.budget.clone(), connected.gate.clone());
                let desk = Arc::new(Desk(Arc::clone(upstream)));
                let token = TokenSource::through(desk, "http://127.0.0.1:9", budget.clone());
                let authority = Authority::new(token.clone(), budget.clone(), gate);
                let network = Network::new(upstream, &budget, authority, &stage.database);
                let connected = Connected { platform: Arc::new(network), token, ..connected };
                let sink: Arc<dyn Post> = Arc::clone(auditor) as _;
                Connection::new(settings, connected, false, Some(sink))
            })
            .collect();
        let engine = Arc::new(Engine::new(&stage.config, store, connections, auditor::signer()));
        let recovering = Arc::clone(&engine);
        // So it may in this one.
        let recovery = tokio::spawn(async move {
            recovering.store.recover(proxy::clock::now()).await.unwrap();
            recovering.learn_from_record().await.unwrap();
        });
        if recovery.await.is_err() {
            return std::future::pending().await;
        }
        let state =
            AppState { engine: Arc::clone(&engine), sandbox: None, stop: CancellationToken::new() };
        let token_file = stage.database.with_extension("token");
        let access = Access::new(8787, SecretString::from(TOKEN), token_file);
        let router = router(state, Arc::new(access), Console::embedded());
        worker::start(&engine, &TaskTracker::new(), &CancellationToken::new());
        stage.people.return_to(&router);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let beside = rusqlite::Connection::open_with_flags(&stage.database, flags).unwrap();
        Self { engine, router, store: sqlite, beside }
    }

    /// The disk is full for some time: no page more than there is.
    fn fill_disk(&self, stage: &mut Stage) {
        let until = stage.dice.ms(500, 40_000);
        stage.world.trace(format_args!("the disk is full for {until} ms"));
        let store = Arc::clone(&self.store);
        tokio::spawn(async move {
            let _ = store.limit_pages(Some(1)).await;
            sleep(Duration::from_millis(u64::try_from(until).unwrap_or(0))).await;
            let _ = store.limit_pages(None).await;
        });
    }

    /// The disk has space from now on.
    pub async fn free_disk(&self) {
        let _ = self.store.limit_pages(None).await;
    }

    /// Lets people act and time pass until this true time.
    pub async fn go_on(&self, stage: &mut Stage, until: i64) {
        while stage.world.now_ms() < until {
            if stage.world.now_ms() >= stage.next_deed_at {
                self.deed(stage);
                continue;
            }
            self.wait(stage, until.min(stage.next_deed_at)).await;
        }
    }

    fn deed(&self, stage: &mut Stage) {
        rollback::copy(stage, self);
        let dice = &mut stage.dice;
        let gap = match dice.within(0, 9) {
            0 => dice.ms(60_000, 900_000),
            1..4 => dice.ms(1_000, 20_000),
            _ => dice.ms(0, 1_500),
        };
        let roll = dice.within(0, 99);
        stage.next_deed_at = stage.world.now_ms() + gap;
        let deed = match roll {
            0..41 => Deed::Write,
            41..45 => Deed::OnceMore,
            45..52 => Deed::Repeat,
            52..55 => Deed::ReuseKey,
            55..67 => Deed::Cancel,
            67..77 => Deed::Hurry,
            77..87 => Deed::Decide,
            87..92 => Deed::Resume,
            92 => {
                self.fill_disk(stage);
                return;
            }
            93..95 => {
                let count = dice.index(3) + 1;
                let number = dice.index(stage.auditors.len());
                stage.world.trace(format_args!("sink {number} loses its last {count}"));
                stage.auditors[number].lose_last(count);
                return;
            }
            _ => {
                // A day is rare, because whatever was planned then waits for a day.
                let day = if dice.percent(15) { 86_400_000 } else { 3_600_000 };
                let skew = dice.one_of(&[0, 0, 30_000, -30_000, 600_000, -600_000, day, -day]);
                stage.world.set_skew(skew);
                return;
            }
        };
        stage.people.act(&self.router, deed);
    }

    /// Lets time pass until this true time: step by step while something goes on, at once while nothing does.
    pub async fn wait(&self, stage: &Stage, until: i64) {
        while stage.world.now_ms() < until {
            let left = until - stage.world.now_ms();
            let idle = self.idle_for(stage).min(left);
            if idle > 1_000 {
                advance(Duration::from_millis(u64::try_from(idle).unwrap_or(0))).await;
            } else {
                sleep(Duration::from_millis(u64::try_from(left.min(250)).unwrap_or(0))).await;
            }
        }
    }

    /// How long nothing is going to happen; 0 while something goes on.
    fn idle_for(&self, stage: &Stage) -> i64 {
        let calling = stage.upstreams.iter().any(|one| one.now().open.values().any(|n| *n > 0));
        if calling || stage.people.is_busy() || stage.auditors.iter().any(|one| one.is_busy()) {
            return 0;
        }
        let number = |sql: &str| self.number(sql);
        if number("SELECT count(*) FROM messages WHERE lease_until IS NOT NULL") > Some(0) {
            return 0;
        }
        let held = "m.state IN ('accepted', 'retry_wait') AND EXISTS (SELECT 1 FROM messages e \
             WHERE e.connection = m.connection AND e.conversation_id = m.conversation_id \
             AND e.state IN ('accepted', 'retry_wait', 'sending', 'unknown') \
             AND e.position < m.position)";
        let due = [
            number(&format!("SELECT min(due_at) FROM messages m WHERE held = 0 AND NOT ({held})")),
            number(
                "SELECT min(expires_at) FROM messages WHERE state IN ('accepted', 'retry_wait')",
            ),
            number("SELECT min(created_at) + 5000 FROM audit_entries WHERE batch IS NULL"),
            number(
                "SELECT min(next_at) FROM audit_batches WHERE shipping <> 'stopped' AND id IN \
                 (SELECT min(id) FROM audit_batches \
                 WHERE shipping IN ('waiting', 'stalled', 'stopped') GROUP BY connection)",
            ),
        ];
        let next = due.into_iter().flatten().min().unwrap_or(i64::MAX);
        next.saturating_sub(stage.world.shown_ms())
    }

    /// The number a query gives.
    pub fn number(&self, sql: &str) -> Option<i64> {
        self.beside.prepare_cached(sql).unwrap().query_row([], |row| row.get(0)).unwrap()
    }

    /// True when every message has ended or is parked, and the sinks have every entry.
    pub fn is_settled(&self) -> bool {
        let none = |sql: &str| self.number(sql) == Some(0);
        none(
            "SELECT count(*) FROM messages WHERE state IN \
             ('accepted', 'sending', 'submitted', 'retry_wait', 'unknown')",
        ) && none("SELECT count(*) FROM audit_entries WHERE batch IS NULL")
            && none(
                "SELECT count(*) FROM audit_batches \
                 WHERE shipping IN ('waiting', 'stalled', 'stopped')",
            )
    }
}

/// The settings of a run, as they would be written.
pub fn settings(folder: &Path, seed: u64) -> Config {
    let mut dice = Dice::new(seed, 3);
    let secret = auditor::SECRET;
    let mut text = format!(
        "[sla]\nthreshold_seconds = {}\n[sending]\nattempts_max = {}\nretry_minutes = {}\n\
         horizon_hours = {}\n[retention]\nmessages_days = {}\n[audit]\nsink_url = \"https://sink.example.com\"\nsecret = \"{secret}\"\n\
         backlog_entries = {}\n",
        dice.within(2, 60),
        dice.within(2, 12),
        dice.within(1, 15),
        dice.one_of(&["0.1", "0.1", "0.1", "0.2", "0.2", "0.5", "1", "1"]),
        u32::from(dice.percent(25)),
        if dice.percent(20) { dice.within(3, 12) } else { 1_000_000 },
    );
    for number in 1..=dice.within(1, 2) {
        text.push_str(&format!(
            "[connections.platform-{number}]\ndialect = \"guide\"\n\
             api_url = \"http://127.0.0.1:9\"\nlogin_url = \"http://127.0.0.1:9\"\n\
             client_id = \"id\"\nclient_secret = \"secret\"\nrequests_per_minute = {}\n{}",
            dice.one_of(&[60, 300, 600]),
            dice.one_of(&[
                "",
                "",
                "dedup = \"none\"\n",
                "dedup = \"none\"\non_ambiguous = \"resend\"\n",
            ]),
        ));
    }
    let path = folder.join("waybill.toml");
    crate::write_private(&path, &text);
    let flags = proxy::config::Flags { config: Some(path), ..Default::default() };
    let environment = [("HOME".to_owned(), folder.display().to_string())];
    match proxy::config::load(&flags, &environment) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}
