//! Allowing less than a shipped pack does: by whoever runs the proxy, or by what the platform says it supports.
//!
//! Only ever less. A narrowing that would allow more is refused by name, because nobody could tell from a
//! finding's words that the rule it quotes was loosened.

use super::pack::{Limit, Media, Pack, fits};
use super::{FILE_TYPES, file_type};
use crate::channel::Channel;
use serde::{Deserialize, Serialize};

/// What is to be allowed less on one channel. What is left out stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Narrowing {
    /// Content types, each one of those the pack has.
    pub content_types: Option<Vec<String>>,
    /// Most recipients of one payload.
    pub recipients_max: Option<usize>,
    /// The longest text, in the pack's unit.
    pub text_max: Option<usize>,
    /// Most attachments of one payload.
    pub attachments_max: Option<usize>,
    /// Most decoded bytes of one attachment.
    pub attachment_bytes_max: Option<usize>,
    /// Most decoded bytes of all attachments together.
    pub attachments_bytes_max: Option<usize>,
    /// MIME types, `image/*` or `*/*`, as in a supported content profile of the platform: files that are not
    /// among them are not sent. An empty list allows no files at all.
    pub media_types: Option<Vec<String>>,
    /// Who narrows it, for the findings; a narrowing without says "this proxy's settings".
    pub source: Option<String>,
}

/// A narrowing that would allow more, or nothing at all.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("rules.{channel}.{setting}: {problem}")]
pub struct NotNarrower {
    /// The channel.
    pub channel: Channel,
    /// The field of [`Narrowing`].
    pub setting: &'static str,
    /// What is wrong with it and what would do.
    pub problem: String,
}

/// Narrows `pack`, or says what cannot be done. A fault leaves that limit as it was.
pub(super) fn narrow(pack: &mut Pack, narrowing: &Narrowing) -> Vec<NotNarrower> {
    let mut faults = Vec::new();
    let channel = pack.channel.clone();
    let source = narrowing.source.clone().unwrap_or_else(|| "this proxy's settings".to_owned());
    let mut fault = |setting: &'static str, problem: String| {
        faults.push(NotNarrower { channel: channel.clone(), setting, problem });
    };
    if let Some(types) = &narrowing.content_types {
        let stray = types.iter().find(|one| !pack.carries(one));
        match stray {
            _ if types.is_empty() => fault(
                "content_types",
                "with none left nothing could be sent; name at least one".into(),
            ),
            Some(stray) => fault(
                "content_types",
                format!(
                    "\"{stray}\" is not one the channel takes ({})",
                    pack.content_types.value.join(", ")
                ),
            ),
            None => {
                pack.content_types.value.retain(|one| types.contains(one));
                pack.content_types.source.clone_from(&source);
            }
        }
    }
    let mut lower = |setting: &'static str,
                     limit: &mut Limit<usize>,
                     wanted: Option<usize>,
                     least| {
        match wanted {
            Some(wanted) if wanted > limit.value => {
                let problem =
                    format!("{wanted} is more than {}, the limit ({})", limit.value, limit.source);
                fault(setting, problem);
            }
            Some(wanted) if wanted < least => {
                fault(setting, format!("{wanted} would let nothing through; use at least {least}"));
            }
            Some(wanted) if wanted < limit.value => {
                *limit = Limit { value: wanted, source: source.clone() };
            }
            _ => {}
        }
    };
    lower("recipients_max", &mut pack.recipients_max, narrowing.recipients_max, 1);
    lower("attachments_max", &mut pack.attachments_max, narrowing.attachments_max, 0);
    let together = narrowing.attachments_bytes_max;
    lower("attachments_bytes_max", &mut pack.attachments_bytes_max, together, 1);
    if let Some(wanted) = narrowing.attachment_bytes_max {
        let most = pack.media.iter().map(|media| media.bytes_max).max().unwrap_or(0);
        let mut largest = Limit { value: most, source: "the largest file of the pack".to_owned() };
        lower("attachment_bytes_max", &mut largest, Some(wanted), 1);
        for media in pack.media.iter_mut().filter(|media| media.bytes_max > largest.value) {
            media.bytes_max = largest.value;
            media.source.clone_from(&source);
        }
    }
    if let Some(wanted) = narrowing.text_max {
        match &mut pack.text {
            Some(text) => {
                let mut limit = Limit { value: text.max, source: text.source.clone() };
                lower("text_max", &mut limit, Some(wanted), 1);
                (text.max, text.source) = (limit.value, limit.source);
            }
            none => {
                let everywhere = Limit {
                    value: crate::validate::CONTENT_BYTES_MAX,
                    source: "the limit of every payload".to_owned(),
                };
                let mut limit = everywhere.clone();
                lower("text_max", &mut limit, Some(wanted), 1);
                if limit != everywhere {
                    let unit = super::TextUnit::Characters;
                    *none = Some(super::TextLimit { max: limit.value, unit, source: limit.source });
                }
            }
        }
    }
    if let Some(allowed) = &narrowing.media_types {
        let stray = allowed.iter().find(|pattern| {
            !FILE_TYPES.iter().any(|known| fits(pattern, known.mime))
                && !pattern.ends_with("/*")
                && file_type(pattern).is_none()
        });
        match stray {
            Some(stray) => {
                fault("media_types", format!("\"{stray}\" is not a type that can be sent"))
            }
            None => pack.media = intersection(&pack.media, allowed, &source),
        }
    }
    faults
}

/// The media of `before` that also fit `allowed`, type by type.
fn intersection(before: &[Media], allowed: &[String], source: &str) -> Vec<Media> {
    let carried = |mime: &str| {
        before.iter().position(|media| media.types.iter().any(|pattern| fits(pattern, mime)))
    };
    let mut after: Vec<Media> = before
        .iter()
        .map(|media| Media { types: Vec::new(), source: source.to_owned(), ..media.clone() })
        .collect();
    for known in FILE_TYPES {
        if let Some(index) = carried(known.mime)
            && allowed.iter().any(|pattern| fits(pattern, known.mime))
        {
            after[index].types.push(known.mime.to_owned());
        }
    }
    after.retain(|media| !media.types.is_empty());
    after
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Ruleset};
    use super::*;
    use std::collections::BTreeMap;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn sms(narrowing: Narrowing) -> Result<Pack, Vec<String>> {
        Ruleset::embedded(Dialect::Guide)
            .narrowed(&BTreeMap::from([(Channel::Sms, narrowing)]))
            .map(|rules| rules.pack(&Channel::Sms).unwrap().clone())
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn less_is_taken_and_says_who_wanted_it() {
        let pack = sms(Narrowing {
            content_types: Some(vec!["text/plain".into()]),
            recipients_max: Some(1),
            text_max: Some(160),
            attachments_max: Some(0),
            attachment_bytes_max: Some(1000),
            attachments_bytes_max: Some(2000),
            media_types: Some(vec!["image/*".into(), "application/pdf".into()]),
            source: Some("the desk's policy".into()),
        })
        .unwrap();
        assert_eq!(pack.content_types.value, ["text/plain"]);
        assert_eq!((pack.recipients_max.value, pack.attachments_max.value), (1, 0));
        let text = pack.text.clone().unwrap();
        assert_eq!((text.max, text.source.as_str()), (160, "the desk's policy"));
        let png = pack.media("image/png").unwrap();
        assert_eq!((png.bytes_max, png.source.as_str()), (1000, "the desk's policy"));
        assert!(pack.media("application/pdf").is_some() && pack.media("text/csv").is_none());
        let none = sms(Narrowing { media_types: Some(vec![]), ..Narrowing::default() }).unwrap();
        assert!(none.media.is_empty());
        // A profile may allow a family of types of which none is known.
        let family = Some(vec!["chemical/*".into(), "image/*".into()]);
        let pack = sms(Narrowing { media_types: family, ..Narrowing::default() }).unwrap();
        assert_eq!(pack.media("image/png").unwrap().source, "this proxy's settings");
        assert!(pack.media("application/pdf").is_none());
        // A profile that allows everything allows what the pack does, and no more.
        let all = sms(Narrowing { media_types: Some(vec!["*/*".into()]), ..Narrowing::default() });
        assert!(all.unwrap().media("application/x-sh").is_none());
    }

    #[test]
    fn more_is_refused_by_name_and_all_of_it_at_once() {
        let faults = sms(Narrowing {
            content_types: Some(vec!["text/html".into()]),
            recipients_max: Some(1_001),
            text_max: Some(766),
            attachments_max: Some(11),
            attachment_bytes_max: Some(1_048_577),
            attachments_bytes_max: Some(0),
            media_types: Some(vec!["image/svg+xml".into()]),
            source: None,
        })
        .unwrap_err();
        let names: Vec<&str> =
            faults.iter().map(|one| one.split(':').next().unwrap_or_default()).collect();
        assert_eq!(
            names,
            [
                "rules.sms.content_types",
                "rules.sms.recipients_max",
                "rules.sms.attachments_max",
                "rules.sms.attachments_bytes_max",
                "rules.sms.attachment_bytes_max",
                "rules.sms.text_max",
                "rules.sms.media_types",
            ]
        );
        assert!(faults[5].contains("766 is more than 765"), "{}", faults[5]);
    }

    #[test]
    fn the_same_narrows_nothing_and_no_type_at_all_is_refused() {
        let shipped = Ruleset::embedded(Dialect::Guide).pack(&Channel::Sms).unwrap();
        let same = Narrowing {
            recipients_max: Some(shipped.recipients_max.value),
            text_max: shipped.text.as_ref().map(|text| text.max),
            attachment_bytes_max: shipped.media.iter().map(|media| media.bytes_max).max(),
            ..Narrowing::default()
        };
        assert_eq!(&sms(same).unwrap(), shipped, "its sources and its hash stay the pack's");
        let none = Narrowing { content_types: Some(Vec::new()), ..Narrowing::default() };
        let faults = sms(none).unwrap_err();
        assert!(faults[0].contains("name at least one"), "{faults:?}");
    }

    #[test]
    fn a_channel_without_a_text_limit_can_get_one() {
        let narrowing = Narrowing { text_max: Some(500), ..Narrowing::default() };
        let rules = Ruleset::embedded(Dialect::Guide)
            .narrowed(&BTreeMap::from([(Channel::Email, narrowing)]))
            .unwrap();
        assert_eq!(rules.pack(&Channel::Email).unwrap().text.as_ref().unwrap().max, 500);
    }
}
