//! A scenario by its name or from a file, as settings and command line name it.

use shared::simulator::{SCENARIO_BYTES_MAX, Scenario};
use std::io::Read;
use std::path::Path;

/// The shipped scenario called `text`, or else the one in the file `text`; otherwise what is wrong and what would do.
pub fn find(text: &str) -> Result<Scenario, String> {
    if let Some(scenario) = Scenario::shipped(text) {
        return Ok(scenario.clone());
    }
    let shipped = Scenario::SHIPPED.join(", ");
    let written = read(Path::new(text)).map_err(|error| {
        format!(
            "\"{text}\" is none of the scenarios {shipped}, and as a file it cannot be read: {error}"
        )
    })?;
    Scenario::read(&written).map_err(|error| format!("{text}: {error}"))
}

/// The file's text, and hardly more than a scenario may have.
fn read(path: &Path) -> std::io::Result<String> {
    let file = std::fs::File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    let most = u64::try_from(SCENARIO_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_before_a_file_and_what_is_neither_says_what_would_do() {
        assert_eq!(find("incident").unwrap().name, "incident");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.json");
        let text = Scenario::shipped_text("guide").unwrap();
        let named = text.replacen("\"guide\"", "\"mine\"", 1);
        std::fs::write(&path, &named).unwrap();
        assert_eq!(find(path.to_str().unwrap()).unwrap().name, "mine");

        std::fs::write(&path, named.replace("\"sms\": 1", "\"fax\": 1")).unwrap();
        let error = find(path.to_str().unwrap()).unwrap_err();
        assert!(
            error.contains("mine.json: the scenario cannot be used: channels.fax: "),
            "{error}"
        );
        std::fs::write(&path, " ".repeat(SCENARIO_BYTES_MAX + 9)).unwrap();
        assert!(find(path.to_str().unwrap()).unwrap_err().contains("more than the 65536 allowed"));
        for text in ["busy hour", "", folder.path().to_str().unwrap()] {
            let error = find(text).unwrap_err();
            assert!(
                error.contains("guide, busy-hour, incident, hostile, lost-receipts"),
                "{error}"
            );
        }
    }
}
