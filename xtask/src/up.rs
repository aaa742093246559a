//! `cargo xtask up`: builds everything, starts `waybill serve` on its own defaults and passes its output through.
//! With `--check` it only sees that the result serves, on a free port with an empty data folder.
//! The server is in a process group of its own and is stopped by us alone, once, however we are asked to stop.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    build_console::{self, Finish},
    build_waybill,
    command::command,
    place::{self, Place},
    probe,
    progress::Progress,
    tools,
};

/// How often we look whether the server ended or somebody wants it to.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longer than any honest start on a slow disk.
const START_WITHIN: Duration = Duration::from_secs(60);
/// The server gives itself 10 s to finish what is in flight.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Builds, serves until stopped, and returns the server's own exit code.
pub fn run(serve_arguments: &[String]) -> Result<ExitCode> {
    let place = Place::find()?;
    let mut progress = Progress::new(4);
    let binary = build(&place, &mut progress)?;

    progress.step("Starting waybill (stop it with Ctrl-C)");
    let stop = stop_flag()?;
    let mut server = start(&place, &binary, serve_arguments)?;
    let stdout = server.stdout.take().context("the server has no stdout")?;
    let total = progress.elapsed();
    let printer = thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            println!("{line}");
            if is_link(&line) {
                eprintln!("      ready in {total}");
                open_browser(&line);
            }
        }
    });

    let mut asked_to_stop = false;
    loop {
        if let Some(status) = server.try_wait().context("failed to wait for the server")? {
            // A server that finds another one running prints its link and ends at once.
            let _ = printer.join();
            return Ok(exit_code(status));
        }
        if stop.swap(false, Ordering::Relaxed) {
            // The second time somebody has lost patience.
            if asked_to_stop {
                server.kill().context("failed to kill the server")?;
            } else {
                eprintln!("\n      stopping (Ctrl-C again ends it at once)");
                terminate(&mut server)?;
            }
            asked_to_stop = true;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Builds, starts, sees it serve, stops.
pub fn check(serve_arguments: &[String]) -> Result<ExitCode> {
    let place = Place::find()?;
    let mut progress = Progress::new(5);
    let binary = build(&place, &mut progress)?;
    let data = env::temp_dir().join(format!("waybill-check-{}", std::process::id()));
    fs::create_dir_all(&data).with_context(|| format!("failed to create {}", data.display()))?;

    progress.step("Starting waybill on a free port with an empty data folder");
    let mut arguments: Vec<String> =
        ["--listen", "127.0.0.1:0", "--data"].map(str::to_owned).to_vec();
    arguments.push(data.to_string_lossy().into_owned());
    arguments.extend_from_slice(serve_arguments);
    let mut server = start(&place, &binary, &arguments)?;
    let seen = first_link(&mut server).and_then(|link| {
        progress.done("ready");
        progress.step("Looking at what it serves");
        see_it_serve(&link)
    });
    let stopped = stop(&mut server);
    // Only a temporary folder is left behind when this fails.
    let _ = fs::remove_dir_all(&data);
    seen?;
    stopped?;
    progress.done("page, script, wasm and readiness answered; stopped with code 0");
    println!("xtask up --check: passed in {}", progress.elapsed());
    Ok(ExitCode::SUCCESS)
}

/// The three steps before the start. `test` uses the same binary.
pub fn build(place: &Place, progress: &mut Progress) -> Result<PathBuf> {
    progress.step("Looking for the tools");
    let tools = tools::ensure(place)?;
    progress.done("ready");

    progress.step("Building the console (about 2 min the first time)");
    let console = build_console::build(place, &tools, Finish::Quick)?;
    progress.done(if console.was_built { "built" } else { "nothing changed, checked" });

    progress.step("Building waybill (about 3 min the first time)");
    let binary = build_waybill::build(place, &console.dist, Finish::Quick)?;
    progress.done("built");
    Ok(binary)
}

fn start(place: &Place, binary: &Path, arguments: &[String]) -> Result<Child> {
    let mut serve = command(place, binary);
    serve.arg("serve").args(arguments).stdout(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut serve, 0);
    serve.spawn().with_context(|| format!("failed to start {}", binary.display()))
}

fn is_link(line: &str) -> bool {
    line.starts_with("http://") && line.contains("/#token=")
}

/// The link, or why there is none.
fn first_link(server: &mut Child) -> Result<String> {
    let stdout = server.stdout.take().context("the server has no stdout")?;
    let (sender, links) = mpsc::channel();
    thread::spawn(move || {
        // Read on to the end, so that the server never meets a closed pipe.
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if is_link(&line) {
                let _ = sender.send(line);
            }
        }
    });
    links.recv_timeout(START_WITHIN).map_err(|why| match why {
        mpsc::RecvTimeoutError::Timeout => {
            anyhow::anyhow!("no link on stdout within {} s", START_WITHIN.as_secs())
        }
        mpsc::RecvTimeoutError::Disconnected => {
            anyhow::anyhow!("waybill ended before it printed its link; its log above says why")
        }
    })
}

fn see_it_serve(link: &str) -> Result<()> {
    let address = link
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next())
        .with_context(|| format!("not a link: {link}"))?;
    probe::get_ok(address, "/readyz")?;
    let page = probe::get_ok(address, "/")?;
    let assets = probe::assets(&page);
    for kind in [".js", ".wasm"] {
        let asset = assets.iter().find(|asset| asset.ends_with(kind));
        let Some(asset) = asset else {
            bail!("the page names no {kind} file: the console is not inside the binary");
        };
        probe::get_ok(address, asset)?;
    }
    Ok(())
}

fn stop(server: &mut Child) -> Result<()> {
    terminate(server)?;
    let asked = Instant::now();
    while asked.elapsed() < STOP_WITHIN {
        if let Some(status) = server.try_wait().context("failed to wait for the server")? {
            ensure!(status.success(), "waybill did not stop cleanly: {status}");
            return Ok(());
        }
        thread::sleep(LOOK_EVERY);
    }
    server.kill().context("failed to kill the server")?;
    bail!("waybill was still running {} s after SIGTERM", STOP_WITHIN.as_secs())
}

/// Asks the server to end. The shell's own `kill` is always there; the program of that name is not.
#[cfg(unix)]
fn terminate(server: &mut Child) -> Result<()> {
    Command::new("sh")
        .args(["-c", "kill -TERM \"$0\"", &server.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .context("failed to start sh")?;
    // A server that has just ended by itself is no error.
    Ok(())
}

#[cfg(not(unix))]
fn terminate(server: &mut Child) -> Result<()> {
    server.kill().context("failed to stop the server")
}

/// Becomes true when somebody presses Ctrl-C or asks this process to end.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    for signal in
        [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP]
    {
        signal_hook::flag::register(signal, Arc::clone(&flag))
            .context("failed to listen for signals")?;
    }
    Ok(flag)
}

/// Opens the link where there is a display; the link is on stdout anyway, so nothing depends on it.
fn open_browser(link: &str) {
    let opener = if cfg!(target_os = "macos") {
        "open"
    } else if env::var_os("DISPLAY").is_some() || env::var_os("WAYLAND_DISPLAY").is_some() {
        "xdg-open"
    } else {
        return;
    };
    if let Some(program) = place::find_program(&[opener]) {
        // Not waited for: some openers stay as long as the browser does.
        let _ = Command::new(program).arg(link).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
