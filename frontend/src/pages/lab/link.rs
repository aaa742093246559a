//! Everything the Lab shows as one line of text: what is behind `#/lab?` in its address.
//!
//! The fragment of an address never reaches a server, so a payload in a link stays between those who share it.
//! Texts are base64url of their bytes: whoever opens a link sees the same bytes. A field that cannot be read is
//! named and takes its default; a field that is not known is passed over.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::channel::Channel;
use shared::rules::{Dialect, example};
use shared::simulator::{self, Scenario};
use shared::template::Values;

/// Most messages that are listed at once.
pub const COUNT_MAX: u32 = 1_000;

/// What is known of the conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// Nothing but the channel.
    ChannelAlone,
    /// The sample conversation of the channel.
    Sample,
    /// What somebody wrote or read from the proxy: JSON of participants.
    Written(String),
}

/// All that a link holds.
#[derive(Clone, PartialEq, Debug)]
pub struct State {
    /// The payload as written, right or wrong.
    pub payload: String,
    /// The channel it is judged for.
    pub channel: Channel,
    /// The dialect it is judged for.
    pub dialect: Dialect,
    /// The conversation it is judged against.
    pub about: About,
    /// Values of a template.
    pub values: Values,
    /// The simulator's seed.
    pub seed: u64,
    /// The simulator's scenario.
    pub scenario: String,
    /// Messages to list.
    pub count: u32,
    /// The one channel to draw on; all while `None`.
    pub drawn_on: Option<Channel>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            payload: sample(&Channel::Sms),
            channel: Channel::Sms,
            dialect: Dialect::Guide,
            about: About::Sample,
            values: Values::new(),
            seed: 42,
            scenario: Scenario::SHIPPED[0].into(),
            count: 50,
            drawn_on: None,
        }
    }
}

/// A plain good message on `channel` as it is written.
pub fn sample(channel: &Channel) -> String {
    serde_json::to_string_pretty(&example::payload(channel)).unwrap_or_default()
}

/// What a link says, and what of it could not be taken as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Opened {
    /// What is shown.
    pub state: State,
    /// Sentences about what is not as in the link.
    pub doubts: Vec<String>,
}

/// The part of the address behind `#/lab?`. `pack` names the rules it was judged by.
pub fn encode(state: &State, pack: &str) -> String {
    let about = match &state.about {
        About::ChannelAlone => "none".to_owned(),
        About::Sample => "sample".to_owned(),
        About::Written(text) => format!("~{}", URL_SAFE_NO_PAD.encode(text)),
    };
    let mut fields = vec![
        ("channel", percent(state.channel.as_str())),
        ("dialect", state.dialect.as_str().to_owned()),
        ("conversation", about),
        ("pack", pack.to_owned()),
        ("simulator", simulator::VERSION.to_string()),
        ("seed", state.seed.to_string()),
        ("scenario", percent(&state.scenario)),
        ("count", state.count.to_string()),
    ];
    if let Some(channel) = &state.drawn_on {
        fields.push(("on", percent(channel.as_str())));
    }
    if !state.values.is_empty() {
        let values = serde_json::to_string(&state.values).unwrap_or_default();
        fields.push(("values", URL_SAFE_NO_PAD.encode(values)));
    }
    fields.push(("payload", URL_SAFE_NO_PAD.encode(&state.payload)));
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    fields.join("&")
}

/// Reads what [`encode`] wrote.
pub fn decode(query: &str) -> Opened {
    let mut state = State::default();
    let mut doubts = Vec::new();
    let mut has_payload = false;
    for (name, value) in query.split('&').filter_map(|field| field.split_once('=')) {
        let is_read = match name {
            "channel" => unpercent(value).map(|name| state.channel = Channel::parse(&name)),
            "dialect" => Dialect::parse(value).map(|dialect| state.dialect = dialect),
            "conversation" => match value {
                "none" => Some(About::ChannelAlone),
                "sample" => Some(About::Sample),
                _ => value.strip_prefix('~').and_then(text).map(About::Written),
            }
            .map(|about| state.about = about),
            "seed" => value.parse().ok().map(|seed| state.seed = seed),
            "scenario" => unpercent(value)
                .filter(|name| Scenario::SHIPPED.contains(&name.as_str()))
                .map(|scenario| state.scenario = scenario),
            "count" => value
                .parse()
                .ok()
                .filter(|count| (1..=COUNT_MAX).contains(count))
                .map(|count| state.count = count),
            "on" => unpercent(value).map(|name| state.drawn_on = Some(Channel::parse(&name))),
            "values" => text(value)
                .and_then(|json| serde_json::from_str(&json).ok())
                .map(|values| state.values = values),
            "payload" => {
                has_payload = true;
                text(value).map(|payload| state.payload = payload)
            }
            "simulator" => {
                if value != simulator::VERSION.to_string() {
                    doubts.push(format!(
                        "It was made with version {} of the simulator and this page has version {}: the same \
                         seed may give other messages here.",
                        shown(value),
                        simulator::VERSION
                    ));
                }
                Some(())
            }
            _ => Some(()),
        };
        if is_read.is_none() {
            doubts.push(format!("Its {name} could not be read and is as at the start."));
        }
    }
    if !has_payload {
        state.payload = sample(&state.channel);
    }
    Opened { state, doubts }
}

/// The hash of the rules that a link was judged by.
pub fn pack(query: &str) -> Option<&str> {
    query.split('&').find_map(|field| field.strip_prefix("pack=")).filter(|pack| !pack.is_empty())
}

/// A value of a link inside a sentence: whatever it holds, it stays short.
fn shown(value: &str) -> String {
    value.chars().filter(|one| one.is_ascii_alphanumeric() || *one == '.').take(12).collect()
}

fn text(base64: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(base64).ok()?).ok()
}

fn percent(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

fn unpercent(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn state() -> State {
        State {
            payload: "{ \"content\": \"ü😀 #token=x&y=%20+\"\n\t, broken".into(),
            channel: Channel::parse("carrier pigeon & co"),
            dialect: Dialect::Genesys,
            about: About::Written("{\"participants\": []}".into()),
            values: Values::from([("name".into(), "Ana & Bo".into()), ("x".into(), String::new())]),
            seed: u64::MAX,
            scenario: "busy-hour".into(),
            count: 1_000,
            drawn_on: Some(Channel::Whatsapp),
        }
    }

    #[test]
    fn what_a_link_holds_comes_back_byte_for_byte() {
        for state in [State::default(), state(), State { payload: String::new(), ..state() }] {
            let query = encode(&state, "0123456789abcdef");
            let opened = decode(&query);
            assert_eq!(opened.state, state);
            assert!(opened.doubts.is_empty(), "{:?}", opened.doubts);
            assert_eq!(pack(&query), Some("0123456789abcdef"));
            // Nothing in it ends the fragment, begins another one, or needs escaping by whoever passes it on.
            assert!(query.bytes().all(|byte| byte.is_ascii_graphic()
                && !matches!(byte, b'#' | b'"' | b'<' | b'>' | b'`' | b'{' | b'}')));
        }
    }

    #[test]
    fn what_cannot_be_taken_is_said_and_the_rest_is_shown() {
        let opened =
            decode("channel=sms&seed=-1&count=99999&dialect=x&scenario=war&payload=!&future=1");
        assert_eq!(opened.state, State::default());
        assert_eq!(opened.doubts.len(), 5);
        let other = decode("simulator=7<b>");
        assert!(other.doubts[0].contains("version 7b of the simulator"), "{:?}", other.doubts);
        assert_eq!(decode(""), Opened { state: State::default(), doubts: Vec::new() });
        // A link to a channel alone shows that channel's plain message.
        assert_eq!(decode("channel=email").state.payload, sample(&Channel::Email));
    }
}
