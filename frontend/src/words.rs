//! How moments, spans, sizes and counts are written on screen. The reader's own time zone, the same words
//! everywhere.

use shared::time::Timestamp;
use wasm_bindgen::JsValue;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn local(at: Timestamp) -> js_sys::Date {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into 53 bits")]
    js_sys::Date::new(&JsValue::from_f64(at.unix_ms() as f64))
}

fn named<'a>(names: &[&'a str], index: u32) -> &'a str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

/// `10:44`.
pub fn clock(at: Timestamp) -> String {
    let date = local(at);
    format!("{:02}:{:02}", date.get_hours(), date.get_minutes())
}

/// `10:44:35`.
pub fn clock_seconds(at: Timestamp) -> String {
    format!("{}:{:02}", clock(at), local(at).get_seconds())
}

/// `10:44:35.2`.
pub fn clock_tenths(at: Timestamp) -> String {
    format!("{}.{}", clock_seconds(at), local(at).get_milliseconds() / 100)
}

/// A number that is the same for all moments of one local day.
pub fn day_number(at: Timestamp) -> (u32, u32, u32) {
    let date = local(at);
    (date.get_full_year(), date.get_month(), date.get_date())
}

/// `Today`, `Yesterday` or `Thursday 19 November`.
pub fn day(at: Timestamp, now: Timestamp) -> String {
    let before = Timestamp::from_unix_ms(now.unix_ms() - 24 * 60 * 60 * 1000);
    if day_number(at) == day_number(now) {
        return "Today".into();
    }
    if day_number(at) == day_number(before) {
        return "Yesterday".into();
    }
    let date = local(at);
    format!(
        "{} {} {}",
        named(&WEEKDAYS, date.get_day()),
        date.get_date(),
        named(&MONTHS, date.get_month())
    )
}

/// `22 Nov`.
pub fn day_short(at: Timestamp) -> String {
    let date = local(at);
    let month = named(&MONTHS, date.get_month());
    format!("{} {}", date.get_date(), month.get(..3).unwrap_or(month))
}

/// `Sunday 22 November 2026, 10:44:35.250 GMT+01:00`: what hovering over a time shows.
pub fn full(at: Timestamp) -> String {
    let date = local(at);
    format!(
        "{} {} {} {}, {}.{:03} {}",
        named(&WEEKDAYS, date.get_day()),
        date.get_date(),
        named(&MONTHS, date.get_month()),
        date.get_full_year(),
        clock_seconds(at),
        date.get_milliseconds(),
        zone(at)
    )
}

/// The reader's offset from UTC at that moment: `GMT+01:00`.
pub fn zone(at: Timestamp) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "minutes of a day")]
    let minutes = -local(at).get_timezone_offset() as i32;
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("GMT{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

/// A span: `0.6 s`, `27 s`, `2 min 3 s`, `3 h 5 min`, `2 d 4 h`.
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let whole = (ms + 500) / 1000;
    match ms {
        0..9_950 => format!("{}.{} s", (ms + 50) / 1000, ((ms + 50) % 1000) / 100),
        9_950..59_500 => format!("{whole} s"),
        59_500..3_600_000 => two(whole / 60, "min", whole % 60, "s"),
        3_600_000..86_400_000 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

/// A span given in seconds; see [`span`].
pub fn seconds(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    span((seconds * 1000.0).round() as i64)
}

/// A threshold, without a needless decimal: `10 s`, `2.5 s`, `2 min`.
pub fn threshold(ms: u64) -> String {
    if ms < 60_000 && ms.is_multiple_of(1000) {
        format!("{} s", ms / 1000)
    } else {
        span(i64::try_from(ms).unwrap_or(i64::MAX))
    }
}

/// A size in decimal units: `412 kB`, `1.3 MB`.
pub fn bytes(count: usize) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{} kB", (count + 500) / 1_000),
        _ => format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

/// A span too short for [`span`]: `0.2 ms`, `3.1 ms`, `48 ms`; `less than 0.1 ms` where the clock is no finer.
pub fn fine_ms(ms: f64) -> String {
    if ms < 0.05 {
        "less than 0.1 ms".into()
    } else if ms < 10.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

/// A length as a count.
pub fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// A count with its thousands apart: `1,204`.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2 messages`.
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { several })
}

/// A share with one decimal, cut and never rounded up to a hundred: `95.8 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    let tenths = u128::from(part) * 1000 / u128::from(whole);
    if tenths.is_multiple_of(10) {
        format!("{} %", tenths / 10)
    } else {
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn spans_keep_two_units_at_most() {
        for (ms, text) in [
            (0, "0.0 s"),
            (640, "0.6 s"),
            (9_949, "9.9 s"),
            (9_950, "10 s"),
            (59_499, "59 s"),
            (59_500, "1 min"),
            (123_000, "2 min 3 s"),
            (11_100_000, "3 h 5 min"),
            (187_200_000, "2 d 4 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn counts_and_shares_are_never_flattered() {
        assert_eq!(grouped(1_204), "1,204");
        assert_eq!(grouped(100), "100");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(percent(9_999, 10_000), "99.9 %");
        assert_eq!(percent(1, 1), "100 %");
        assert_eq!(percent(0, 0), "–");
    }

    #[test]
    fn sizes_and_thresholds_read_well() {
        assert_eq!(bytes(411_600), "412 kB");
        assert_eq!(bytes(1_310_000), "1.3 MB");
        assert_eq!(threshold(10_000), "10 s");
        assert_eq!(threshold(2_500), "2.5 s");
        assert_eq!(threshold(120_000), "2 min");
    }
}
