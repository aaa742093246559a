//! What settings mean: every rule that needs more than the shape of a value.

use super::layers::{Flags, HomeFolders, Number, Written, WrittenAudit, WrittenConnection};
use super::{AuditConfig, Config, ConnectionConfig, LogConfig, Target, region};
use crate::engine::AuditPolicy;
use crate::scenario;
use secrecy::{ExposeSecret, SecretString};
use shared::channel::Channel;
use shared::delivery::{Dedup, OnAmbiguous, Policy};
use shared::id::ConnectionName;
use shared::rules::{Dialect, Narrowing, Ruleset};
use shared::sla::THRESHOLD_MS_MAX;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest time in which receipts are looked for, in hours.
const HORIZON_HOURS_MAX: f64 = 720.0;
/// The shortest HMAC secret, in bytes.
const SECRET_BYTES_MIN: usize = 32;

/// Everything that is wrong with the settings, each with its place.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl Problems {
    pub(super) fn add(&mut self, place: &str, text: impl fmt::Display) {
        self.0.push(format!("{place}: {text}"));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

pub(super) fn check(
    written: Written,
    flags: &Flags,
    home: &HomeFolders,
    mut problems: Problems,
) -> Result<Config, Problems> {
    let p = &mut problems;
    let listen = listen(flags.listen.as_deref().unwrap_or(&written.server.listen), p);
    let data = data_folder(flags, &written.server.data, home, p);
    let shutdown = whole("server.shutdown_seconds", written.server.shutdown_seconds, 1, 600, p);
    let json = match written.log.format.as_str() {
        "text" => false,
        "json" => true,
        other => {
            p.add("log.format", format!("\"{other}\" is neither \"text\" nor \"json\""));
            false
        }
    };
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&written.log.filter) {
        p.add("log.filter", error);
    }
    let threshold_ms = threshold_ms(written.sla.threshold_seconds, p);
    let policy = Policy {
        attempts_max: whole32("sending.attempts_max", written.sending.attempts_max, 1, 1000, p),
        retry_window: Duration::from_secs(
            60 * whole("sending.retry_minutes", written.sending.retry_minutes, 1, 24 * 60, p),
        ),
        horizon: horizon(written.sending.horizon_hours, p),
        ..Policy::default()
    };
    let audit = audit(written.audit, p);
    let quota_mb = whole("data.quota_mb", written.data.quota_mb, 0, 1_000_000_000, p);
    let messages_days =
        whole("retention.messages_days", written.retention.messages_days, 0, 36_500, p);
    let sandbox_seed = whole("sandbox.seed", written.sandbox.seed, 0, 1 << 53, p);
    let sandbox_scenario = scenario::find(&written.sandbox.scenario);
    let sandbox_scenario = sandbox_scenario.map_err(|text| p.add("sandbox.scenario", text)).ok();
    if written.connections.is_empty() {
        p.add("connections", "there is none; name at least one");
    }
    let rules = rules(written.rules, p);
    let connections = written
        .connections
        .into_iter()
        .filter_map(|(name, one)| connection(&name, one, &policy, &rules, p))
        .collect();
    if !problems.0.is_empty() {
        return Err(problems);
    }
    Ok(Config {
        listen,
        data,
        shutdown: Duration::from_secs(shutdown),
        log: LogConfig { json, filter: written.log.filter },
        threshold_ms,
        policy,
        audit,
        quota: (quota_mb > 0).then_some(quota_mb * 1_000_000),
        retention: (messages_days > 0).then(|| Duration::from_secs(messages_days * 24 * 60 * 60)),
        sandbox_seed,
        sandbox_scenario,
        connections,
    })
}

fn listen(text: &str, problems: &mut Problems) -> SocketAddr {
    let fallback = SocketAddr::from(([127, 0, 0, 1], 0));
    match text.replace("localhost", "127.0.0.1").parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => address,
        Ok(address) => {
            problems.add(
                "server.listen",
                format!("{address} is not loopback; local mode serves 127.0.0.1 or [::1] only"),
            );
            fallback
        }
        Err(_) => {
            problems.add(
                "server.listen",
                format!("\"{text}\" is not an address such as 127.0.0.1:8787"),
            );
            fallback
        }
    }
}

fn data_folder(
    flags: &Flags,
    written: &str,
    home: &HomeFolders,
    problems: &mut Problems,
) -> PathBuf {
    if let Some(data) = &flags.data {
        return data.clone();
    }
    if !written.is_empty() {
        return PathBuf::from(written);
    }
    let own = home
        .data_home
        .as_ref()
        .map(|folder| folder.join("waybill"))
        .or_else(|| home.home.as_ref().map(|folder| folder.join(".local/share/waybill")));
    own.unwrap_or_else(|| {
        problems.add("server.data", "neither it nor HOME is set; say where data may be kept");
        PathBuf::new()
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first and ends at 2^53"
)]
fn whole(name: &str, number: Number, least: u64, most: u64, problems: &mut Problems) -> u64 {
    if number.0.fract() == 0.0 && number.0 >= least as f64 && number.0 <= most as f64 {
        number.0 as u64
    } else {
        problems.add(name, format!("must be a whole number from {least} to {most}"));
        least
    }
}

fn whole32(name: &str, number: Number, least: u32, most: u32, problems: &mut Problems) -> u32 {
    let value = whole(name, number, least.into(), most.into(), problems);
    u32::try_from(value).unwrap_or(most)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the range is checked first"
)]
fn threshold_ms(number: Number, problems: &mut Problems) -> u64 {
    let ms = number.0 * 1000.0;
    if ms.is_finite() && ms >= 1.0 && ms <= THRESHOLD_MS_MAX as f64 {
        ms.round() as u64
    } else {
        problems.add("sla.threshold_seconds", "must be more than 0 and at most 2592000 (30 days)");
        1
    }
}

fn horizon(hours: Number, problems: &mut Problems) -> Duration {
    let seconds = hours.0 * 3600.0;
    if (1.0..=HORIZON_HOURS_MAX * 3600.0).contains(&seconds) {
        return Duration::from_secs_f64(seconds);
    }
    let text = format!("must be at least a second and at most {HORIZON_HOURS_MAX} (30 days)");
    problems.add("sending.horizon_hours", text);
    Duration::from_secs(3600)
}

fn audit(written: WrittenAudit, problems: &mut Problems) -> AuditConfig {
    let sink_url = (!written.sink_url.is_empty()).then_some(written.sink_url);
    if let Some(url) = &sink_url {
        base_url("audit.sink_url", url, problems);
    }
    let secret = audit_secret("audit.secret", written.secret, written.secret_file, problems);
    let key_id = written.key_id;
    check_key_id("audit.key_id", &key_id, problems);
    let is_rotating = written.previous_secret.is_some() || written.previous_secret_file.is_some();
    let previous = audit_secret(
        "audit.previous_secret",
        written.previous_secret,
        written.previous_secret_file,
        problems,
    );
    let previous_key_id = written.previous_key_id;
    if is_rotating {
        check_key_id("audit.previous_key_id", &previous_key_id, problems);
        if previous_key_id == key_id {
            problems.add("audit.previous_key_id", "must differ from audit.key_id");
        }
    } else if !previous_key_id.is_empty() {
        problems.add("audit.previous_secret", "is missing; previous_key_id names its key");
    }
    let heartbeat =
        whole("audit.heartbeat_seconds", written.heartbeat_seconds, 0, 86_400, problems);
    let refuses = match written.on_backlog.as_str() {
        "refuse" => true,
        "warn" => false,
        other => {
            let text = format!("\"{other}\" is neither \"refuse\" nor \"warn\"");
            problems.add("audit.on_backlog", text);
            true
        }
    };
    let backlog_max =
        whole("audit.backlog_entries", written.backlog_entries, 1, 1_000_000_000, problems);
    let keep_days = whole("audit.keep_days", written.keep_days, 1, 36_500, problems);
    AuditConfig {
        sink_url,
        secret,
        key_id,
        previous: previous.map(|secret| (previous_key_id, secret)),
        policy: AuditPolicy {
            heartbeat: (heartbeat > 0).then(|| Duration::from_secs(heartbeat)),
            backlog_max,
            refuses,
            keep: Duration::from_secs(keep_days * 24 * 60 * 60),
        },
    }
}

fn audit_secret(
    name: &str,
    inline: Option<SecretString>,
    file: Option<PathBuf>,
    problems: &mut Problems,
) -> Option<SecretString> {
    let secret = secret(name, inline, file, problems)?;
    let length = secret.expose_secret().len();
    if length < SECRET_BYTES_MIN {
        problems.add(name, format!("has {length} bytes; it must have {SECRET_BYTES_MIN} or more"));
    }
    Some(secret)
}

fn check_key_id(name: &str, key_id: &str, problems: &mut Problems) {
    if !crate::audit::is_key_id(key_id) {
        problems.add(name, "must be 1 to 64 of A-Z a-z 0-9 _ -");
    }
}

/// A secret written inline or kept in a file, never both; trimmed of the line break editors add.
fn secret(
    name: &str,
    inline: Option<SecretString>,
    file: Option<PathBuf>,
    problems: &mut Problems,
) -> Option<SecretString> {
    let found = match (inline, file) {
        (Some(_), Some(_)) => {
            problems.add(name, format!("both {name} and {name}_file are set; keep the file"));
            return None;
        }
        (Some(inline), None) => inline,
        (None, Some(path)) => {
            refuse_wide_mode(&path, problems);
            match std::fs::read_to_string(&path) {
                Ok(text) => SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => {
                    problems.add(
                        &format!("{name}_file"),
                        format!("{} cannot be read: {error}", path.display()),
                    );
                    return None;
                }
            }
        }
        (None, None) => return None,
    };
    let text = found.expose_secret();
    let is_placeholder = text.starts_with("YOUR_") || text == "…";
    if text.is_empty() || text.contains(['\r', '\n']) || is_placeholder {
        problems.add(name, "is empty, holds a line break or is still the placeholder");
        return None;
    }
    Some(found)
}

/// Adds a problem when others than the owner may read the file.
pub(super) fn refuse_wide_mode(path: &Path, problems: &mut Problems) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Ok(metadata) = std::fs::metadata(path)
            && metadata.permissions().mode() & 0o077 != 0
        {
            problems.add(
                &path.display().to_string(),
                "holds a secret that others can read; run chmod 600 on it",
            );
        }
    }
    #[cfg(not(unix))]
    let _ = (path, problems);
}

/// The guide dialect's rules, narrowed channel by channel. It is the one dialect of this version.
fn rules(written: BTreeMap<String, Narrowing>, problems: &mut Problems) -> Arc<Ruleset> {
    let shipped = Ruleset::embedded(Dialect::Guide);
    let mut narrowings = BTreeMap::new();
    for (name, narrowing) in written {
        let channel = Channel::parse(&name);
        match shipped.pack(&channel) {
            Ok(_) => {
                narrowings.insert(channel, narrowing);
            }
            Err(_) => {
                let known: Vec<&str> =
                    shipped.packs.iter().map(|one| one.channel.as_str()).collect();
                let text = format!("is not a channel; use {}", known.join(", "));
                problems.add(&format!("rules.{name}"), text);
            }
        }
    }
    match shipped.narrowed(&narrowings) {
        Ok(narrowed) => Arc::new(narrowed),
        Err(faults) => {
            for fault in faults {
                let place = format!("rules.{}.{}", fault.channel, fault.setting);
                problems.add(&place, fault.problem);
            }
            Arc::new(shipped.clone())
        }
    }
}

fn connection(
    name: &str,
    written: WrittenConnection,
    policy: &Policy,
    rules: &Arc<Ruleset>,
    problems: &mut Problems,
) -> Option<ConnectionConfig> {
    let place = |field: &str| format!("connections.{name}.{field}");
    let parsed = match ConnectionName::parse(name) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.add(&format!("connections.{name}"), error);
            return None;
        }
    };
    if written.dialect != "guide" {
        problems.add(
            &place("dialect"),
            format!("\"{}\" is not a dialect of this version; use \"guide\"", written.dialect),
        );
    }
    let rate = written.requests_per_minute.unwrap_or(Number(300.0));
    let requests_per_minute = whole32(&place("requests_per_minute"), rate, 10, 100_000, problems);
    let dedup = match written.dedup.as_deref() {
        None | Some("key") => Dedup::Key,
        Some("none") => Dedup::None,
        Some(other) => {
            let text = format!("\"{other}\" is neither \"key\" nor \"none\"");
            problems.add(&place("dedup"), text);
            Dedup::None
        }
    };
    let on_ambiguous = match written.on_ambiguous.as_deref() {
        None | Some("park") => OnAmbiguous::Park,
        Some("resend") => OnAmbiguous::Resend,
        Some(other) => {
            let text = format!("\"{other}\" is neither \"park\" nor \"resend\"");
            problems.add(&place("on_ambiguous"), text);
            OnAmbiguous::Park
        }
    };
    if dedup == Dedup::Key && written.on_ambiguous.is_some() {
        let text = "has no effect while dedup is \"key\"; set dedup = \"none\" or take it away";
        problems.add(&place("on_ambiguous"), text);
    }
    let mut channels_without_receipts = Vec::new();
    for channel in &written.channels_without_receipts {
        match Channel::parse(channel) {
            Channel::Unknown(unknown) => {
                problems.add(
                    &place("channels_without_receipts"),
                    format!("\"{unknown}\" is not a channel"),
                );
            }
            known => channels_without_receipts.push(known),
        }
    }
    let hosts = match (&written.region, &written.api_url, &written.login_url) {
        (Some(region), None, None) if region == "sandbox" => None,
        (Some(region), None, None) => {
            let urls = region::urls(region);
            if urls.is_none() {
                let known = region::names();
                let text = format!("\"{region}\" is not a region; use sandbox or one of {known}");
                problems.add(&place("region"), text);
            }
            Some(urls.unwrap_or_default())
        }
        (None, Some(api_url), Some(login_url)) => {
            base_url(&place("api_url"), api_url, problems);
            base_url(&place("login_url"), login_url, problems);
            let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
            Some((trimmed(api_url), trimmed(login_url)))
        }
        _ => {
            problems.add(&place("region"), "set either region, or both api_url and login_url");
            Some(Default::default())
        }
    };
    let (target, host) = match hosts {
        None => (Target::Sandbox, String::from("sandbox")),
        Some((api_url, login_url)) => {
            let host = api_url.split("//").nth(1).unwrap_or_default().to_owned();
            let (client_id, client_secret) = credentials(
                name,
                written.client_id,
                written.client_secret,
                written.client_secret_file,
                problems,
            )?;
            (Target::Remote { api_url, login_url, client_id, client_secret }, host)
        }
    };
    let region = written.region.unwrap_or(host);
    Some(ConnectionConfig {
        name: parsed,
        target,
        region,
        requests_per_minute,
        policy: Policy { dedup, on_ambiguous, ..policy.clone() },
        rules: Arc::clone(rules),
        channels_without_receipts,
    })
}

fn credentials(
    name: &str,
    client_id: Option<String>,
    client_secret: Option<SecretString>,
    client_secret_file: Option<PathBuf>,
    problems: &mut Problems,
) -> Option<(String, SecretString)> {
    let client_id = client_id.unwrap_or_default();
    let is_unusable = client_id.trim().is_empty() || client_id.contains(['\r', '\n', ':']);
    if is_unusable || client_id.starts_with("YOUR_") {
        let place = format!("connections.{name}.client_id");
        problems.add(&place, "is missing, or not the id of an OAuth client");
    }
    let secret_name = format!("connections.{name}.client_secret");
    if client_secret.is_none() && client_secret_file.is_none() {
        let text = "is missing; set it, its _file or WAYBILL_CONNECTIONS__NAME__CLIENT_SECRET";
        problems.add(&secret_name, text);
    }
    let secret = secret(&secret_name, client_secret, client_secret_file, problems)?;
    Some((client_id, secret))
}

/// A base URL: https, or plain http to loopback; no user, no query, no fragment.
fn base_url(name: &str, url: &str, problems: &mut Problems) {
    let parsed = match reqwest::Url::parse(url) {
        Ok(parsed) => parsed,
        Err(error) => return problems.add(name, format!("is not a URL: {error}")),
    };
    let is_loopback = match parsed.host_str() {
        Some("localhost") => true,
        Some(host) => host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        None => false,
    };
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && is_loopback) {
        problems.add(name, "must be https (plain http only to loopback)");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        problems.add(name, "must not hold a user name or password");
    }
    if parsed.fragment().is_some() || parsed.query().is_some() {
        problems.add(name, "must not hold a query or fragment");
    }
}
