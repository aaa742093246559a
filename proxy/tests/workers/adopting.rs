//! A look that finds the message on the platform (T7), and the process that dies by SIGKILL right before and right
//! after writing that down. No dialect lists yet by whom a message is and what it says, so the platform is one of the
//! test's own; store, worker and process are real: the test starts itself once more and dies in that.

use crate::stage::{self, stage};
use async_trait::async_trait;
use bytes::Bytes;
use proxy::clock;
use proxy::failpoint;
use proxy::platform::{Listed, Permit, Platform, ReadError, Said, SendOutcome, Snapshot};
use proxy::store::MessageFilter;
use proxy::worker::Worker;
use proxy::worker::dispatch::Dispatch;
use proxy::worker::reconcile::Reconcile;
use shared::channel::Channel;
use shared::conversation::{Conversation, Participant};
use shared::delivery::{Dedup, EventKind, Reason, State};
use shared::id::{ConversationId, Key, PlatformId};
use shared::payload::Payload;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// The file with what the platform took; set in the process that is to die.
const TAKEN: &str = "WAYBILL_TEST_TAKEN";

/// The test that is the process that dies.
const DYING: &str = "adopting::the_process_that_dies_where_a_look_found_the_message";

/// Takes what is posted and answers nothing; what it took is in a file, and listed with words and sender.
struct Silent {
    taken: PathBuf,
}

impl Silent {
    fn taken(&self) -> Option<Payload> {
        Payload::decode(&std::fs::read(&self.taken).ok()?).ok()
    }
}

#[async_trait]
impl Platform for Silent {
    async fn read_conversation(
        &self,
        _permit: Permit,
        id: &ConversationId,
    ) -> Result<Snapshot, ReadError> {
        let party = |role: &str, address: &str| Participant {
            id: role.to_owned(),
            role: role.to_owned(),
            address: address.to_owned(),
        };
        let now = clock::now();
        let listed = self.taken().map(|payload| Listed {
            platform_id: PlatformId::parse("p-1").unwrap(),
            created_at: Some(now),
            said: Some(Said {
                text: payload.text().unwrap_or_default().to_owned(),
                from: payload.from,
            }),
        });
        Ok(Snapshot {
            conversation: Conversation {
                id: id.clone(),
                channel: Channel::Email,
                participants: vec![
                    party("agent", stage::AGENT),
                    party("customer", stage::CUSTOMER),
                ],
                ended_at: None,
                read_at: now,
            },
            receipts: HashMap::new(),
            listed: listed.into_iter().collect(),
            platform_now: Some(now),
        })
    }

    async fn send(
        &self,
        _permit: Permit,
        _id: &ConversationId,
        _key: &Key,
        body: Bytes,
    ) -> SendOutcome {
        assert!(!self.taken.exists(), "it was sent twice");
        std::fs::write(&self.taken, &body).unwrap();
        SendOutcome::Ambiguous(Reason::new("no_answer", "No answer came."))
    }
}

/// A message is sent, nobody answers, and a look finds it: in a folder that may hold the record of a process that died.
async fn send_and_find(folder: &Path) -> stage::Stage {
    let mut stage = stage().await;
    stage.open(&folder.join("store.sqlite")).await;
    let taken = folder.join("taken");
    stage.engine.connections[0].platform = Arc::new(Silent { taken: taken.clone() });
    stage.engine.connections[0].policy.dedup = Dedup::None;
    if !taken.exists() {
        stage.accept(1).await;
        Dispatch.run_once(&stage.engine, clock::now()).await.unwrap();
    }
    for _ in 0..3 {
        let later = clock::now().plus(Duration::from_secs(3600));
        Reconcile.run_once(&stage.engine, later).await.unwrap();
    }
    stage
}

#[tokio::test]
async fn the_process_that_dies_where_a_look_found_the_message() {
    let Some(folder) = std::env::var_os(TAKEN) else { return };
    let environment: Vec<_> = std::env::vars().collect();
    failpoint::arm(&environment).unwrap();
    send_and_find(Path::new(&folder)).await;
}

#[tokio::test]
async fn a_message_that_a_look_found_is_adopted_once_wherever_the_process_dies() {
    for point in
        ["T7.before_commit", "T7.after_commit", "search.before_request", "search.after_answer"]
    {
        let folder = tempfile::tempdir().unwrap();
        let ended = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", DYING, "--nocapture"])
            .env(TAKEN, folder.path())
            .env(failpoint::VARIABLE, point)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(9), "{said}");
        assert!(said.contains(&format!("fail point {point}\n")), "{said}");

        let stage = send_and_find(folder.path()).await;
        let filter = MessageFilter { limit: 10, ..MessageFilter::default() };
        let page = stage.engine.store.list_messages(filter).await.unwrap();
        let message = stage.message(&page.items[0].id).await;
        let delivery = &message.message.delivery;
        assert_eq!(delivery.state, State::Submitted, "{point}");
        assert_eq!(delivery.platform_id, PlatformId::parse("p-1").ok(), "{point}");
        assert_eq!(delivery.attempts, 1, "{point}");
        let found = message.events.iter().filter(|event| event.kind == EventKind::Found).count();
        assert_eq!(found, 1, "{point}: {:?}", message.events);
        let counts = stage.engine.store.count_messages().await.unwrap();
        assert_eq!((counts.total, counts.duplicates_prevented), (1, 1), "{point}");
    }
}
