//! The tone (the colour and the sign) of a state.

use crate::app::status::State;
use crate::html::Tone;

/// Returns the tone of a state.
pub(super) fn tone(state: State) -> Tone {
    match state {
        State::Valid => Tone::Good,
        State::Due | State::Outdated | State::Expiring | State::Left => Tone::Soon,
        State::NotYetValid | State::Missing | State::Unreadable | State::Revoked | State::Expired => Tone::Bad,
    }
}
