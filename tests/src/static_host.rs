//! A host that knows nothing but the console's built files: what a page on any static hosting gets. It answers 404
//! to everything that is no file, so a page that asked for more would show it in the browser's log.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The host; it stops listening when it is dropped.
pub struct StaticHost {
    /// Its address: `http://127.0.0.1:PORT`.
    pub url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl StaticHost {
    /// Serves the folder that the console was built into.
    pub async fn start() -> Self {
        let folder = std::env::var_os("WAYBILL_CONSOLE_DIST").map(PathBuf::from);
        let folder = folder.filter(|folder| folder.join("index.html").is_file());
        let folder = folder.expect("the console is built: run cargo xtask test");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (folder, seen) = (folder.clone(), Arc::clone(&seen));
                tokio::spawn(async move { answer(stream, &folder, &seen).await });
            }
        });
        Self { url: format!("http://{address}"), asked, task }
    }

    /// Every path that was asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StaticHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(stream: TcpStream, folder: &Path, asked: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    let _ = stream.read_line(&mut first).await;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 2) {
        line.clear();
    }
    let target = first.split(' ').nth(1).unwrap_or("/");
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(target.to_owned());
    let name = target.split('?').next().unwrap_or_default().trim_start_matches('/');
    let name = if name.is_empty() { "index.html" } else { name };
    let is_inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    let body = std::fs::read(folder.join(name)).ok().filter(|_| is_inside);
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", b"There is no such file.\n".to_vec()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content_type(name),
        body.len()
    );
    // A browser that goes away does not want the rest.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
