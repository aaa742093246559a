//! What the commands say while they work: which step of how many, how long it usually takes, how long it took.

use std::time::{Duration, Instant};

/// Numbered steps with their times, printed to stderr: stdout carries only what was asked for.
pub struct Progress {
    total: usize,
    done: usize,
    started: Instant,
    step_started: Instant,
}

impl Progress {
    /// Starts the clock of a command with so many steps.
    pub fn new(total: usize) -> Progress {
        let now = Instant::now();
        Progress { total, done: 0, started: now, step_started: now }
    }

    /// Announces the next step.
    pub fn step(&mut self, what: &str) {
        self.done += 1;
        self.step_started = Instant::now();
        eprintln!("[{}/{}] {what}…", self.done, self.total);
    }

    /// Ends the step.
    pub fn done(&self, outcome: &str) {
        eprintln!("      {outcome} in {}", shown(self.step_started.elapsed()));
    }

    /// The time since the command started, in words.
    pub fn elapsed(&self) -> String {
        shown(self.started.elapsed())
    }
}

/// A duration as people say it.
pub fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(shown(Duration::from_millis(2_340)), "2.3 s");
        assert_eq!(shown(Duration::from_secs(372)), "6 min 12 s");
    }
}
