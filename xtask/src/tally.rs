//! Counts tests from what the runners print: cargo-nextest, libtest and the wasm runner.

use std::ops::AddAssign;

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub passed: usize,
    /// Failed, time-outs included.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// Adds up every summary line among these.
    pub fn read(lines: &[String]) -> Tally {
        let mut tally = Tally::default();
        // nextest shows what a failed test printed, libtest's own summary of one test included.
        let by_nextest = lines.iter().any(|line| line.trim_start().starts_with("Summary ["));
        for line in lines {
            let line = line.trim_start();
            // `test result: ok. 5 passed; 0 failed; …` and `Summary [ 0.1s] 5 tests run: 4 passed, 1 failed, …`
            let is_summary = if by_nextest { "Summary [" } else { "test result:" };
            if line.starts_with(is_summary) {
                tally += Tally {
                    passed: number_before(line, "passed"),
                    failed: number_before(line, "failed")
                        + number_before(line, "timed out")
                        + number_before(line, "exec failed"),
                };
            }
        }
        tally
    }
}

/// The number right before these words, 0 where they do not occur.
fn number_before(line: &str, words: &str) -> usize {
    line.match_indices(words)
        .find_map(|(at, _)| line[..at].split_whitespace().next_back()?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Tally {
        Tally::read(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn summaries_of_all_runners_are_understood() {
        let libtest = "running 3 tests\ntest result: FAILED. 2 passed; 1 failed; 0 ignored\n\
                       test result: ok. 4 passed; 0 failed; 0 ignored";
        assert_eq!(read(libtest), Tally { passed: 6, failed: 1 });
        let nextest = "     Summary [   0.014s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 0 skipped";
        assert_eq!(read(nextest), Tally { passed: 6, failed: 3 });
        let with_output = format!("test result: FAILED. 0 passed; 1 failed\n{nextest}");
        assert_eq!(read(&with_output), Tally { passed: 6, failed: 3 });
        assert_eq!(read("no summary, 4 passed"), Tally::default());
    }
}
