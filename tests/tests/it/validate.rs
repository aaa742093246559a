//! Payloads judged from outside: by `waybill validate` over files, and by a running proxy, which must say the same.

use serde_json::{Value, json};
use shared::rules::example::repeated;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tests::binary::Ended;
use tests::{Answer, Api, Place, binary};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// `waybill WORDS…` with these bytes as its standard input.
async fn waybill(words: &[&str], input: &[u8]) -> Ended {
    let mut command = binary::command();
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = tokio::spawn(async move {
        // A program that has seen enough closes its end.
        let _ = stdin.write_all(&input).await;
    });
    let output = child.wait_with_output().await.unwrap();
    feeding.await.unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Code, pointer and severity of each finding.
fn found(answer: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|one| (text(&one["code"]), text(&one["pointer"]), text(&one["severity"])))
        .collect()
}

const GOOD: &str =
    r#"{"from":"+447700900001","to":["+447700900141"],"type":"text/plain","content":"Hello"}"#;
const BAD: &str =
    r#"{"from":"+447700900001","to":["07700 900141"],"type":"text/plain","content":"it’s"}"#;

#[tokio::test]
async fn the_same_messages_get_the_same_answers_in_every_format() {
    let place = Place::new();
    let csv = "from,to,type,content\r\n+447700900001,+447700900141,text/plain,Hello\r\n\
               +447700900001,07700 900141,text/plain,it’s\r\n";
    let files = [
        place.write("list.json", format!("[{GOOD},\n {BAD}]").as_bytes()),
        place.write("lines.jsonl", format!("{GOOD}\n\n{BAD}\n").as_bytes()),
        place.write("table.csv", csv.as_bytes()),
        place.write("untold", csv.as_bytes()),
    ];
    let mut answers: Vec<Vec<Value>> = Vec::new();
    for file in &files {
        let file = file.to_str().unwrap();
        let ended = waybill(&["validate", file, "--channel", "sms", "--format", "json"], b"").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
        answers.push(lines(&ended));
    }
    let of = |answers: &[Value], field: &str| -> Vec<Value> {
        answers.iter().map(|one| one[field].clone()).collect()
    };
    for other in &answers[1..] {
        for field in ["index", "findings", "parts", "plan", "pack"] {
            assert_eq!(of(other, field), of(&answers[0], field), "{field}");
        }
    }
    assert_eq!(answers[0][0]["parts"]["encoding"], "GSM-7");
    assert_eq!(
        answers[0][1]["parts"],
        json!({"encoding": "UCS-2", "units": 4, "count": 1, "capacity": 70})
    );
    assert_eq!(answers[0][1]["findings"][0]["code"], "to.phone");
    assert_eq!(answers[2][1]["row"], 3);
    // Several files are one list, and good ones alone end well.
    let file = files[1].to_str().unwrap();
    let words = ["validate", file, "-", "--channel=sms", "--format=json"];
    let all = lines(&waybill(&words, GOOD.as_bytes()).await);
    assert_eq!(of(&all, "index"), [0, 1, 2].map(Value::from));
    assert_eq!(all[2]["file"], "<stdin>");
    let ended = waybill(&["validate", "-", "--channel", "sms"], GOOD.as_bytes()).await;
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout, "1 message: 1 good, 0 with errors; 0 errors, 0 warnings\n");
    // Parts are SMS's alone, and without a channel it is said once what was not looked at.
    let words = ["validate", "-", "--channel=open", "--format=json"];
    assert_eq!(lines(&waybill(&words, GOOD.as_bytes()).await)[0].get("parts"), None);
    let ended = waybill(&["validate", "-"], format!("{GOOD}\n{GOOD}\n").as_bytes()).await;
    assert_eq!(ended.stderr.matches("only the rules of every channel").count(), 1, "{ended:?}");
}

#[tokio::test]
async fn findings_point_into_the_file_and_what_cannot_be_read_hides_nothing() {
    let place = Place::new();
    let text =
        format!("{GOOD}\n{BAD}\n{{\"from\": \"a\",\n{{\"from\":\"a\",\"to\":7}}\nnull\n{GOOD}\n");
    let file = place.write("messages.jsonl", text.as_bytes());
    let ended = waybill(&["validate", file.to_str().unwrap(), "--channel=sms"], b"").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "colours are for terminals");
    let shown = format!(
        " --> {}:2:31\n  |\n2 | {BAD}\n  | {}{}\n",
        file.display(),
        " ".repeat(30),
        "^".repeat(14)
    );
    assert!(ended.stdout.contains(&shown), "{}", ended.stdout);
    for place in [":3:", ":4:18", ":5:1"] {
        let shown = format!("{}{place}", file.display());
        assert!(ended.stdout.contains(&shown), "{place}: {}", ended.stdout);
    }
    assert!(ended.stdout.contains("= how: Write it like +447700900141"), "{}", ended.stdout);
    let last = "6 messages: 2 good, 4 with errors; 4 errors, 0 warnings\n";
    assert!(ended.stdout.ends_with(last), "{}", ended.stdout);
    let pretty = "[\n  {\n    \"from\": \"+447700900001\",\n    \"to\": [\"+447700900141\"],\n    \
                  \"type\": \"text/html\",\n    \"content\": \"x\"\n  }\n]\n";
    let ended = waybill(&["validate", "-", "--channel", "sms"], pretty.as_bytes()).await;
    assert!(ended.stdout.contains("--> <stdin>:5:13\n"), "{}", ended.stdout);
}

#[tokio::test]
async fn what_cannot_be_used_is_bad_usage_and_the_rest_is_judged() {
    let place = Place::new();
    let good = place.write("good.json", GOOD.as_bytes());
    let good = good.to_str().unwrap();
    let ended = waybill(&["validate", "nothing.json", good, "--channel=sms"], b"").await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("nothing.json") && ended.stdout.starts_with("1 message"));
    let folder = place.folder().to_str().unwrap();
    for words in [
        vec!["validate"],
        vec!["validate", folder],
        vec!["validate", good, "--channel", "pigeon"],
        vec!["validate", good, "--dialect", "morse"],
        vec!["validate", good, "--input", "yaml"],
        vec!["validate", good, "--connection", "main"],
        vec!["validate", good, "--template", good],
        vec!["validate", good, "--conversation", good],
        vec!["validate", good, "--channel", "sms", "--conversation", good],
        vec!["rules", "sms.prats"],
        vec!["rules", "--channel=email", "--dialect=genesys"],
        vec!["simulate", "--scenario", "nothing"],
        vec!["simulate", "--channel", "pigeon"],
        vec!["completions", "cobol"],
    ] {
        let ended = waybill(&words, b"").await;
        assert_eq!(ended.code, Some(2), "{words:?}: {ended:?}");
        assert!(!ended.stderr.is_empty(), "{words:?}");
    }
}

/// Bad inputs, rows 44 and 45.
#[tokio::test]
async fn tables_with_faults_are_judged_row_by_row() {
    let text = "\u{feff}from,to,type,content,channel\r\n\
                +447700900001,+447700900141,text/plain,=cmd(),sms\n\
                +447700900001,+447700900141,text/plain\r\n\
                +447700900001,+447700900141,text/plain,say \"hi\",sms\n\
                +447700900001,+447700900141,text/plain,\"@SUM(A1)\r\nagain\",sms\r\n\
                a@example.com,nobody,text/plain,Hello,email\n";
    let ended = waybill(&["validate", "-", "--format", "json"], text.as_bytes()).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let answers = lines(&ended);
    let rows: Vec<(Value, Vec<String>)> = answers
        .iter()
        .map(|one| (one["row"].clone(), found(one).into_iter().map(|one| one.0).collect()))
        .collect();
    let expected = [
        (json!(2), vec![]),
        (json!(3), vec!["table.ragged".to_owned()]),
        (json!(4), vec!["table.quote".to_owned()]),
        (json!(5), vec![]),
        (json!(6), vec!["to.email".to_owned()]),
    ];
    assert_eq!(rows, expected);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (input, code) in [
        (utf16.as_slice(), "input.encoding"),
        (b"", "input.empty"),
        (b"from,to,type\n1,2,3\n", "table.missing"),
        (b"from,to,type,content,to\n1,2,3,4,5\n", "table.duplicate"),
        (b"from,to,type,content,\n1,2,3,4,5\n", "table.header"),
        (b"from;to;type;content\n1;2;3;4\n", "table.separator"),
    ] {
        let ended = waybill(&["validate", "-", "--input=csv", "--format=json"], input).await;
        assert_eq!(ended.code, Some(1), "{code}: {ended:?}");
        assert_eq!(lines(&ended)[0]["findings"][0]["code"], code);
    }
}

/// Bad inputs, row 44.
#[tokio::test]
async fn a_table_of_a_million_and_one_rows_is_refused_at_that_row_full_run() {
    let many = format!("from,to,type,content\n{}", "a,b,text/plain,c\n".repeat(1_000_001));
    let ended = waybill(&["validate", "-"], many.as_bytes()).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.stdout.contains("error[table.rows]: There are more than 1,000,000 rows"));
    assert!(ended.stdout.contains("(row 1000002)"), "{}", ended.stdout);
}

#[tokio::test]
async fn rows_fill_a_template_and_settings_narrow_what_is_allowed() {
    let place = Place::new();
    let template = GOOD.replace("+447700900141", "{{to}}").replace("Hello", "Hello {{name|you}}");
    let template = place.write("template.json", template.as_bytes());
    let settings = place.write("waybill.toml", b"[rules.sms]\ntext_max = 11\n");
    let (template, settings) = (template.to_str().unwrap(), settings.to_str().unwrap());
    let rows = "to,name,town\n+447700900141,Robin,York\n+447700900142,,\n,Robin,\n";
    let words = ["validate", "-", "--channel=sms", "--template", template, "--config", settings];
    let ended = waybill(&words, rows.as_bytes()).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for shown in [
        "warning[template.unused]: The value town is used nowhere\n --> <stdin>:1:9 (row 1)",
        "error[template.missing]: There is no value for {{to}}\n --> <stdin>:4:1 (row 4)",
        "3 messages: 2 good, 1 with errors",
    ] {
        assert!(ended.stdout.contains(shown), "{shown}: {}", ended.stdout);
    }
    let ended = waybill(&words, b"to,name\n+447700900141,Bartholomew\n").await;
    let shown = "error[content.over_limit]: The text has 17 characters\n --> <stdin>:2:15 (row 2)";
    assert!(ended.stdout.contains(shown), "{}", ended.stdout);
    assert!(ended.stdout.contains("(this proxy's settings)"), "{}", ended.stdout);
    let conversation = shared::rules::example::conversation(&shared::channel::Channel::Sms);
    let conversation = serde_json::to_vec(&conversation).unwrap();
    let conversation = place.write("conversation.json", &conversation);
    let stranger = GOOD.replace("+447700900001", "+447700900099");
    let words = ["validate", "-", "--conversation", conversation.to_str().unwrap()];
    let ended = waybill(&words, stranger.as_bytes()).await;
    assert!(ended.stdout.contains("error[from.not_participant]"), "{ended:?}");
}

#[tokio::test]
async fn simulated_messages_are_the_same_again_and_are_judged_as_they_are_made() {
    let simulate = ["simulate", "--seed=7", "--scenario=hostile", "--count=200"];
    let made = waybill(&simulate, b"").await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(made.stdout, waybill(&simulate, b"").await.stdout);
    let judged = waybill(&["validate", "-", "--format=json"], made.stdout.as_bytes()).await;
    assert_eq!(judged.stderr, "");
    let (made, judged) = (lines(&made), lines(&judged));
    assert_eq!((made.len(), judged.len()), (200, 200));
    for (made, judged) in made.iter().zip(&judged) {
        let found = found(judged);
        match made["breaks"].as_str() {
            Some(code) if !code.starts_with("template.") => {
                assert!(found.iter().any(|one| one.0 == code), "{made}: {found:?}");
            }
            _ => assert!(found.iter().all(|one| one.2 != "error"), "{made}: {found:?}"),
        }
    }
    let words = ["simulate", "--channel=sms", "--count=50", "--format=csv"];
    let table = waybill(&words, b"").await;
    let judged = waybill(&["validate", "-"], table.stdout.as_bytes()).await;
    assert_eq!(judged.code, Some(0), "{judged:?}");
    assert!(judged.stdout.starts_with("50 messages: 50 good"), "{judged:?}");
}

#[tokio::test]
async fn rules_and_schema_are_told_and_shells_complete() {
    let rule = waybill(&["rules", "attachment.url"], b"").await;
    assert_eq!(rule.code, Some(0));
    for word in ["what  ", "why   ", "how   ", "good  ", "bad   "] {
        assert!(rule.stdout.contains(word), "{}", rule.stdout);
    }
    let slip = waybill(&["rules", "sms.prats"], b"").await;
    assert!(slip.stderr.contains("did you mean sms.parts?"), "{slip:?}");
    let all: Value =
        serde_json::from_str(&waybill(&["rules", "--format=json"], b"").await.stdout).unwrap();
    let place = Place::new();
    let running = place.serve().await;
    let told = running.api.read("/api/v1/rules").await;
    assert_eq!(told["rules"], all["rules"]);
    assert_eq!(told["connections"][0]["ruleset"]["hash"], all["hash"]);
    let schema: Value = serde_json::from_str(&waybill(&["schema"], b"").await.stdout).unwrap();
    let answer = running.api.get("/api/v1/schemas/payload.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/schema+json");
    assert_eq!(answer.json(), schema);
    for (shell, word) in [
        ("bash", "complete -F _waybill"),
        ("zsh", "#compdef waybill"),
        ("fish", "complete -c waybill"),
    ] {
        let script = waybill(&["completions", shell], b"").await;
        assert_eq!(script.code, Some(0));
        assert!(script.stdout.contains(word) && script.stdout.contains("validate"), "{shell}");
    }
}

/// One case of the vectors.
struct Vector {
    name: String,
    dialect: String,
    context: String,
    conversation: Value,
    /// As it is written; some are very long written out.
    payload: Value,
    expected: Vec<(String, String, String)>,
}

/// Every `each`th case of every file, or of the one of this pack.
fn vectors(pack: Option<&str>, each: usize) -> Vec<Vector> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let mut vectors = Vec::new();
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    paths.retain(|path| pack.is_none_or(|pack| path.file_stem().is_some_and(|stem| stem == pack)));
    paths.sort();
    for path in paths {
        let file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let cases = file["cases"].as_array().into_iter().flatten();
        vectors.extend(cases.step_by(each).map(|case| vector(&path, &file, case)));
    }
    vectors
}

fn vector(path: &Path, file: &Value, case: &Value) -> Vector {
    let text = |name: &str, otherwise: &str| case[name].as_str().unwrap_or(otherwise).to_owned();
    let channel = case["channel"].as_str().or(file["channel"].as_str()).unwrap_or("");
    let context = text("context", "conversation");
    let mut conversation = file["conversation"].clone();
    if conversation.is_null() {
        conversation = json!({"participants": []});
    }
    conversation["channel"] = channel.into();
    // A name of its own for each of them, as the platform would have.
    let number =
        channel.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 0xffff_ffff);
    let ended = u8::from(context == "ended");
    conversation["id"] = format!("{number:08x}-0000-4000-8000-00000000000{ended}").into();
    conversation["read_at"] = "2026-11-22T10:00:00.000Z".into();
    if ended == 1 {
        conversation["ended_at"] = ENDED.into();
    }
    Vector {
        name: format!("{}: {}", path.display(), case["name"]),
        dialect: text("dialect", "guide"),
        context,
        conversation,
        payload: case["payload"].clone(),
        expected: found(case),
    }
}

/// When conversations that have ended did.
const ENDED: &str = "2026-11-22T09:00:00.000Z";

/// The line that `waybill validate` judges: against the case's context, or its channel alone.
fn line(vector: &Vector, by_channel: bool) -> String {
    let mut line = json!({"payload": repeated(vector.payload.clone()), "dialect": vector.dialect});
    match vector.context.as_str() {
        "unread" => {}
        "channel" => line["channel"] = vector.conversation["channel"].clone(),
        _ if by_channel => line["channel"] = vector.conversation["channel"].clone(),
        _ => line["conversation"] = vector.conversation.clone(),
    }
    format!("{line}\n")
}

/// Judges vectors by the program and by a running proxy whose platform has their conversations. What the program
/// finds is what the vector says; what the proxy answers is word for word what the program does.
async fn everywhere_the_same(vectors: Vec<Vector>) {
    let platform = Platform::start(&vectors).await;
    let mut place = Place::new();
    place.configure(&format!(
        "[connections.main]\ndialect = \"guide\"\napi_url = \"http://{0}\"\nlogin_url = \"http://{0}\"\n\
         client_id = \"id\"\nclient_secret = \"a-secret\"\n",
        platform.address
    ));
    let running = place.serve().await;
    let mut wrong = Vec::new();
    for some in vectors.chunks(100) {
        wrong.extend(differences(some, &running.api).await);
    }
    let shown = wrong[..wrong.len().min(5)].join("\n");
    assert!(wrong.is_empty(), "{} of {}: {shown}", wrong.len(), vectors.len());
}

/// What is not as it should be about each of these vectors.
async fn differences(vectors: &[Vector], api: &Api) -> Vec<String> {
    let lines_of = |by_channel| vectors.iter().map(|one| line(one, by_channel)).collect::<String>();
    let words = ["validate", "-", "--input=jsonl", "--format=json"];
    let in_context = lines(&waybill(&words, lines_of(false).as_bytes()).await);
    let by_channel = lines(&waybill(&words, lines_of(true).as_bytes()).await);
    assert_eq!((in_context.len(), by_channel.len()), (vectors.len(), vectors.len()));
    let mut wrong = Vec::new();
    for ((vector, in_context), by_channel) in vectors.iter().zip(&in_context).zip(&by_channel) {
        if found(in_context) != vector.expected {
            wrong.push(format!("{}: {:?}", vector.name, found(in_context)));
        }
        let is_conversation = matches!(vector.context.as_str(), "conversation" | "ended");
        let (mut request, expected) = if is_conversation && vector.dialect == "guide" {
            let id = &vector.conversation["id"];
            (json!({"connection": "main", "conversation_id": id}), in_context)
        } else if vector.context == "unread" {
            continue;
        } else {
            let channel = &vector.conversation["channel"];
            (json!({"channel": channel, "dialect": vector.dialect}), by_channel)
        };
        request["payload"] = repeated(vector.payload.clone());
        let post = api.request(reqwest::Method::POST, "/api/v1/validate").json(&request);
        let answer = Answer::of(post).await.expect(200).json();
        for field in ["findings", "parts", "plan", "pack"] {
            if answer.get(field) != expected.get(field) {
                wrong.push(format!("{}: {field}: {:?}", vector.name, found(&answer)));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn some_vectors_get_the_same_findings_from_program_and_proxy() {
    everywhere_the_same(vectors(None, 40)).await;
}

/// All vectors of one pack, some of which are megabytes.
async fn every_vector_of(pack: &str) {
    let all = vectors(Some(pack), 1);
    assert!(all.len() >= 10, "{} vectors of {pack}", all.len());
    everywhere_the_same(all).await;
}

#[tokio::test]
async fn every_vector_of_sms_is_judged_the_same_everywhere_full_run() {
    every_vector_of("sms").await;
}

#[tokio::test]
async fn every_vector_of_email_is_judged_the_same_everywhere_full_run() {
    every_vector_of("email").await;
}

#[tokio::test]
async fn every_vector_of_webmessaging_is_judged_the_same_everywhere_full_run() {
    every_vector_of("webmessaging").await;
}

#[tokio::test]
async fn every_vector_of_whatsapp_is_judged_the_same_everywhere_full_run() {
    every_vector_of("whatsapp").await;
}

#[tokio::test]
async fn every_vector_of_facebook_is_judged_the_same_everywhere_full_run() {
    every_vector_of("facebook").await;
}

#[tokio::test]
async fn every_vector_of_instagram_is_judged_the_same_everywhere_full_run() {
    every_vector_of("instagram").await;
}

#[tokio::test]
async fn every_vector_of_apple_is_judged_the_same_everywhere_full_run() {
    every_vector_of("apple").await;
}

#[tokio::test]
async fn every_vector_of_open_is_judged_the_same_everywhere_full_run() {
    every_vector_of("open").await;
}

#[tokio::test]
async fn every_vector_of_unknown_channel_is_judged_the_same_everywhere_full_run() {
    every_vector_of("unknown-channel").await;
}

/// A platform that has the vectors' conversations, and a token for everybody.
struct Platform {
    address: String,
    task: tokio::task::JoinHandle<()>,
}

impl Platform {
    async fn start(vectors: &[Vector]) -> Self {
        let conversations: BTreeMap<String, String> = vectors
            .iter()
            .map(|vector| {
                let known = &vector.conversation;
                let participants = known["participants"].as_array().into_iter().flatten();
                let participants: Vec<Value> = participants
                    .map(|one| json!({"id": one["id"], "role": one["role"], "from": {"id": one["address"]}}))
                    .collect();
                let mut reply = json!({
                    "id": known["id"], "channelType": known["channel"], "participants": participants,
                });
                if known.get("ended_at").is_some() {
                    reply["endTime"] = ENDED.into();
                }
                (known["id"].as_str().unwrap().to_owned(), reply.to_string())
            })
            .collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let conversations = Arc::new(conversations);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let conversations = Arc::clone(&conversations);
                // A connection that breaks is the proxy's affair.
                tokio::spawn(async move { answer(stream, &conversations).await });
            }
        });
        Self { address, task }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    stream: TcpStream,
    conversations: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if stream.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                Some(_) => {}
                None => break,
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        let path = request.split(' ').nth(1).unwrap_or_default();
        let id = path.rsplit('/').next().unwrap_or_default();
        let token = json!({"access_token": "token", "token_type": "bearer", "expires_in": 86_400});
        let (status, body) = match conversations.get(id) {
            _ if path == "/oauth/token" => (200, token.to_string()),
            Some(conversation) => (200, conversation.clone()),
            None => (404, "{}".to_owned()),
        };
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
    }
}
