//! Which channels the node has asked to leave, so that one that Redis takes away by itself stands out.

use std::collections::BTreeMap;

/// How often each channel was left and Redis has not confirmed it; a client may leave, follow and leave within that time.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<String, usize>);

impl Leaving {
    /// A channel is asked to be left.
    pub(super) fn begin(&mut self, channel: &str) {
        *self.0.entry(channel.to_owned()).or_default() += 1;
    }

    /// Redis has confirmed it; false if nobody had asked.
    pub(super) fn end(&mut self, channel: &str) -> bool {
        let Some(count) = self.0.get_mut(channel) else { return false };
        *count -= 1;
        if *count == 0 {
            self.0.remove(channel);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_left_twice_is_confirmed_twice_and_no_more() {
        let mut leaving = Leaving::default();
        leaving.begin("a");
        leaving.begin("a");
        leaving.begin("b");
        assert_eq!(["a", "a", "a", "b", "b"].map(|name| leaving.end(name)), [true, true, false, true, false]);
    }
}
