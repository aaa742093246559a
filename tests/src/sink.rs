//! A small audit receiver whose answers a test decides: it records every post and says yes or no.

use crate::audit::Batch;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the sink does with a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Answers with this status.
    Status(u16),
    /// Takes it and closes the connection without an answer.
    Lost,
    /// Does not take it: 409, and this is the last sequence of the stream that is held.
    Holds(u64),
}

impl Reply {
    /// True when the batch is the sink's afterwards.
    pub fn takes(self) -> bool {
        matches!(self, Reply::Status(200..=299) | Reply::Lost)
    }
}

/// The sink; it stops listening when it is dropped.
pub struct Sink {
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Reply>,
    posts: Vec<(Batch, Reply)>,
}

impl Sink {
    /// A sink that follows `script`, one reply a post, and takes everything after it.
    pub async fn start(script: &[Reply]) -> Self {
        Self::start_at("127.0.0.1:0", script).await
    }

    /// A sink at an address.
    pub async fn start_at(address: &str, script: &[Reply]) -> Self {
        let listener = TcpListener::bind(address).await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let state = Arc::new(Mutex::new(State {
            script: script.iter().copied().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // A connection that breaks is the proxy's affair.
                tokio::spawn(async move { answer(stream, &shared).await });
            }
        });
        Self { address, state, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/audit", self.address)
    }

    /// Every post, with what was replied.
    pub fn posts(&self) -> Vec<(Batch, Reply)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).posts.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut headers = Map::new();
        let mut line = String::new();
        // The request line says nothing a test needs.
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) => {
                    headers.insert(name.to_ascii_lowercase(), json!(value.trim()));
                }
                None => break,
            }
        }
        let length = headers.get("content-length").and_then(Value::as_str);
        let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let batch = Batch::read(&json!({ "headers": headers, "body": text }));
        let reply = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let reply = state.script.pop_front().unwrap_or(Reply::Status(200));
            state.posts.push((batch, reply));
            reply
        };
        let head = match reply {
            Reply::Lost => return Ok(()),
            Reply::Status(status) => format!("HTTP/1.1 {status} Said\r\n"),
            Reply::Holds(last) => format!("HTTP/1.1 409 Said\r\nX-Audit-Last-Sequence: {last}\r\n"),
        };
        stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).await?;
    }
}
