//! Addresses of files: https, and a host that can only mean one on the public internet.

use crate::address::is_label;

const CHARS_MAX: usize = 2_048;
/// Last labels of names that mean a machine or a network nearby, or nothing at all (RFC 6761, RFC 6762, RFC 8375,
/// and names that private networks use).
const INWARD: [&str; 14] = [
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "onion",
    "test",
    "invalid",
    "alt",
    "localdomain",
];

/// Accepts an https address that can only mean a public host. The grammar is narrower than RFC 3986 on purpose:
/// a host is dotted labels with an alphabetic last one, which no way of writing an IP address has.
pub fn check_https(url: &str) -> Result<(), &'static str> {
    let rest = url.strip_prefix("https://").ok_or("it does not start with https://")?;
    if url.len() > CHARS_MAX {
        return Err("it is longer than 2,048 characters");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic())
        || url.contains(['\\', '<', '>', '"', '`', '{', '}', '|', '^'])
    {
        return Err("it holds a character that must be escaped");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("it holds a user name");
    }
    let host = match authority.split_once(':') {
        None => authority,
        Some((host, "443")) => host,
        Some(_) if authority.starts_with('[') => {
            return Err("its host is an address, not a name");
        }
        Some(_) => return Err("it names another port than 443"),
    };
    let labels: Vec<&str> = host.split('.').collect();
    let last = labels.last().map(|last| last.to_ascii_lowercase()).unwrap_or_default();
    if INWARD.contains(&last.as_str()) {
        return Err("its host is inside a private network");
    }
    if host.len() > 253 || labels.len() < 2 || !labels.iter().all(|label| is_label(label)) {
        return Err("its host is not a public name such as cdn.example.com");
    }
    if !last.bytes().all(|byte| byte.is_ascii_alphabetic()) && !last.starts_with("xn--") {
        return Err("its host is an address, not a name");
    }
    Ok(())
}
