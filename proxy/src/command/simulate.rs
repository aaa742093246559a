//! `waybill simulate`: a scenario's messages on stdout, one a line, to be judged, sent or looked at.
//!
//! A line holds the payload with what it is for and what would become of it, and `waybill validate -` takes it as
//! it is. The same seed, scenario and simulator version give the same bytes.

use super::Exit;
use super::validate::known_channel;
use crate::scenario;
use clap::{Args, ValueEnum};
use serde_json::Value;
use shared::channel::Channel;
use shared::payload::APPLICATION_JSON;
use shared::simulator::{Scenario, SimulatedMessage, Weights};
use shared::table;
use std::io::{self, BufWriter, Write};

/// What `waybill simulate` takes.
#[derive(Args)]
pub struct SimulateArgs {
    /// The same seed gives the same messages.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// A scenario by name (`list` names them), or a file that holds one.
    #[arg(long, value_name = "NAME|FILE", default_value = Scenario::SHIPPED[0])]
    scenario: String,
    /// How many messages.
    #[arg(long, default_value_t = 10)]
    count: u64,
    /// Only messages on this channel.
    #[arg(long)]
    channel: Option<String>,
    /// How they are written.
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    format: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON object a line: payload, conversation, time, and what becomes of it.
    Jsonl,
    /// The columns `waybill validate` reads; a message with several attachments does not fit and is left out.
    Csv,
}

/// Writes the messages. Ends with 2 where the scenario cannot be used.
pub fn simulate(args: &SimulateArgs) -> Exit {
    if args.scenario == "list" {
        let names = Scenario::SHIPPED.iter().filter_map(|name| Scenario::shipped(name));
        let lines: String = names.map(|one| format!("{}\t{}\n", one.name, one.about)).collect();
        return super::print(&lines);
    }
    let prepared = scenario::find(&args.scenario).and_then(|mut scenario| {
        let channel = args.channel.as_deref().map(known_channel).transpose()?;
        if let Some(channel) = channel {
            only(&mut scenario, &channel)?;
        }
        Ok(scenario)
    });
    match prepared {
        Ok(scenario) => ended(write(args, &scenario)),
        Err(problem) => {
            eprintln!("waybill: {problem}");
            Exit::Usage
        }
    }
}

fn ended(written: io::Result<()>) -> Exit {
    match written {
        Ok(()) => Exit::Good,
        // Whoever reads them may have enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(error) => {
            eprintln!("waybill: standard output: {error}");
            Exit::Usage
        }
    }
}

/// Leaves one channel of a scenario.
fn only(scenario: &mut Scenario, channel: &Channel) -> Result<(), String> {
    let has_it = scenario.channels.iter().any(|(one, weight)| one == channel && weight > 0);
    if !has_it {
        return Err(format!("the scenario {} has no messages on {channel}", scenario.name));
    }
    scenario.channels = Weights::from(vec![(channel.clone(), 1)]);
    Ok(())
}

fn write(args: &SimulateArgs, scenario: &Scenario) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    let messages = scenario.messages(args.seed).take(count);
    match args.format {
        Output::Jsonl => {
            for message in messages {
                serde_json::to_writer(&mut out, &message)?;
                out.write_all(b"\n")?;
            }
        }
        Output::Csv => {
            let mut left_out = 0_u64;
            let mut text = String::new();
            table::write_row(&mut text, COLUMNS);
            for message in messages {
                match row(&message) {
                    Some(row) => table::write_row(&mut text, row.iter().map(String::as_str)),
                    None => left_out += 1,
                }
                out.write_all(text.as_bytes())?;
                text.clear();
            }
            out.write_all(text.as_bytes())?;
            if left_out > 0 {
                eprintln!(
                    "waybill: {left_out} messages have more than a row can hold and are left out"
                );
            }
        }
    }
    out.flush()
}

const COLUMNS: [&str; 9] = [
    "from",
    "to",
    "type",
    "content",
    "channel",
    "attachment_type",
    "attachment_filename",
    "attachment_content",
    "attachment_url",
];

/// A message as a row that is read back as the same message; `None` where there is no such row.
fn row(message: &SimulatedMessage) -> Option<[String; 9]> {
    let payload = &message.payload;
    let file = match payload.attachments.as_slice() {
        [] => None,
        [file] => Some(file),
        _ => return None,
    };
    let content = match &payload.content {
        Value::String(text) if payload.content_type != APPLICATION_JSON => text.clone(),
        value if payload.content_type == APPLICATION_JSON => value.to_string(),
        _ => return None,
    };
    let has_separator = payload.to.iter().any(|one| one.contains(';') || one.trim() != one);
    if has_separator || payload.to == [""] {
        return None;
    }
    let of = |field: Option<&String>| field.cloned().unwrap_or_default();
    Some([
        payload.from.clone(),
        payload.to.join(";"),
        payload.content_type.clone(),
        content,
        message.conversation.channel.to_string(),
        of(file.map(|file| &file.content_type)),
        of(file.map(|file| &file.filename)),
        of(file.and_then(|file| file.content.as_ref())),
        of(file.and_then(|file| file.url.as_ref())),
    ])
}
