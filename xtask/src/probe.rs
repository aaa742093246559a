//! The smallest HTTP client that can tell whether a local server answers: one GET, one connection, no TLS.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

const TIME_OUT: Duration = Duration::from_secs(10);

/// GETs a path and returns the body as text; anything but 200 is an error.
pub fn get_ok(address: &str, path: &str) -> Result<String> {
    let url = format!("http://{address}{path}");
    let answer = get(address, path).with_context(|| format!("no answer from {url}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    ensure!(status == "200", "{url} answered {status} instead of 200");
    Ok(body.to_owned())
}

fn get(address: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIME_OUT))?;
    stream.set_write_timeout(Some(TIME_OUT))?;
    // In one piece: a simple server may look only at what arrives first.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The scripts and wasm files a page names, as absolute paths.
pub fn assets(page: &str) -> Vec<String> {
    page.split(['"', '\''])
        .filter(|text| text.ends_with(".js") || text.ends_with(".wasm"))
        .filter(|text| !text.contains(char::is_whitespace))
        .map(|text| format!("/{}", text.trim_start_matches(['.', '/'])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_in_attributes_and_scripts() {
        let page = r#"<link href="/console-1f.js"><script>init('./console-1f_bg.wasm')</script>"#;
        assert_eq!(assets(page), ["/console-1f.js", "/console-1f_bg.wasm"]);
    }
}
