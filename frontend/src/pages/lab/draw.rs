//! The scenarios the Lab draws messages from.

use shared::channel::Channel;
use shared::simulator::{Scenario, Weights};
use std::borrow::Cow;

/// The shipped scenario of this name, on one channel alone where one is chosen; `None` where there is none.
pub fn scenario(name: &str, on: Option<&Channel>) -> Option<Cow<'static, Scenario>> {
    let shipped = Scenario::shipped(name)?;
    Some(match on {
        None => Cow::Borrowed(shipped),
        Some(channel) => Cow::Owned(Scenario {
            channels: Weights::from(vec![(channel.clone(), 1)]),
            ..shipped.clone()
        }),
    })
}

/// A scenario's name as people read it.
pub fn label(name: &str) -> String {
    let words = name.replace('-', " ");
    let mut rest = words.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_scenario_can_be_drawn_on_every_channel() {
        for name in Scenario::SHIPPED {
            assert!(!label(name).contains('-'));
            for channel in Channel::KNOWN {
                let scenario = scenario(name, Some(&channel)).into_iter();
                let drawn: Vec<Channel> = scenario
                    .flat_map(|one| {
                        one.messages(7)
                            .take(20)
                            .map(|one| one.conversation.channel)
                            .collect::<Vec<_>>()
                    })
                    .collect();
                assert_eq!(drawn.len(), 20, "{name} on {channel}");
                // What breaks a rule about channels is on another one, on purpose.
                assert!(name == "hostile" || drawn.iter().all(|one| *one == channel));
            }
        }
        assert!(scenario("no such", None).is_none());
    }
}
