//! Requests byte by byte: what no well-behaved client would send.

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Connects to a server such as `127.0.0.1:1234`.
pub async fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).await.expect("the server takes connections")
}

/// Sends `request` and reads until the server closes; what it said, headers and all.
pub async fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = connect(address).await;
    // A server that refuses early may close before it has read everything.
    let _ = stream.write_all(request).await;
    read_all(&mut stream).await
}

/// Reads until the other side closes.
pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let read = async {
        let mut piece = [0; 4096];
        // A reset is an end like any other here.
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            said.extend_from_slice(&piece[..length]);
        }
    };
    timeout(PATIENCE, read).await.expect("the server closes the connection");
    String::from_utf8_lossy(&said).into_owned()
}

/// A `GET` with exactly these header lines.
pub async fn get(address: &str, path: &str, headers: &[&str]) -> String {
    request(address, "GET", path, headers).await
}

/// A request without a body, with exactly these header lines and `Connection: close`.
pub async fn request(address: &str, method: &str, target: &str, headers: &[&str]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    exchange(address, text.as_bytes()).await
}

/// The status of a raw answer; 0 where there is none.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
