//! Channels that nobody wants any more: what is wanted beneath them is followed first, then they are left.

use super::channels::Link;
use super::joined::{Mirror, Standing};
use super::{Ask, Channel};

impl Mirror<'_> {
    /// A channel is joined: what it makes superfluous is left, and those who waited for it go on.
    pub(crate) fn joined_channel(&mut self, channel: &Channel) {
        let cover = self.joined.channels.cover(channel);
        let is_covered = cover != *channel
            && self.joined.channels.slot(&cover).is_some_and(|slot| slot.link == Link::Joined);
        let mut superfluous = Vec::new();
        if is_covered {
            superfluous.push(channel.clone());
        }
        let is_leaving = self.joined.channels.slot(channel).is_some_and(|slot| slot.is_leaving);
        let mut beneath = Vec::new();
        if !is_leaving && !is_covered {
            beneath = self.joined.channels.beneath(channel);
            superfluous.extend(beneath.iter().cloned());
        }
        let mut left = Vec::new();
        for channel in superfluous {
            let Some(slot) = self.joined.channels.slot_mut(&channel) else { continue };
            if std::mem::take(&mut slot.link) != Link::None {
                left.push(channel);
            }
        }
        if !left.is_empty() {
            self.joined.ask(Ask::Leave(left));
        }
        for above in self.joined.channels.leaving_above(channel) {
            self.try_to_leave(&above);
        }
        self.admit_joined(channel);
        for channel in &beneath {
            self.admit_joined(channel);
        }
    }

    /// Nobody wanted a channel for long enough.
    pub(crate) fn begin_to_leave(&mut self, channel: &Channel) {
        for beneath in self.joined.channels.beneath(channel) {
            let is_followed = self.joined.channels.cover(&beneath) == beneath;
            let is_leaving = self.joined.channels.slot(&beneath).is_some_and(|slot| slot.is_leaving);
            if !is_leaving && is_followed {
                self.follow(&beneath);
            }
        }
        self.try_to_leave(channel);
    }

    /// Leaves a channel unless something beneath it still needs it.
    pub(crate) fn try_to_leave(&mut self, channel: &Channel) {
        let is_away = match &self.joined.standing {
            Standing::Doubt(_) => return,
            Standing::Away { .. } => true,
            Standing::Sure => false,
        };
        if !self.joined.channels.leaving.contains(channel) {
            return;
        }
        for beneath in self.joined.channels.beneath(channel) {
            let channels = &self.joined.channels;
            let slot = channels.slot(&beneath).expect("it was found above");
            let needs = !slot.is_leaving && channels.cover(&beneath) == beneath;
            if needs && slot.link != Link::Joined && !is_away {
                return;
            }
        }
        // What the wider channel brought stays known: the narrower ones take over without a break.
        for beneath in self.joined.channels.beneath(channel) {
            let known_above = self.joined.channels.known_above(&beneath);
            let slot = self.joined.channels.slot_mut(&beneath).expect("it was found above");
            let still_comes = !slot.is_leaving || slot.link == Link::Joined;
            slot.complete_above = known_above.filter(|_| still_comes);
        }
        let Some(slot) = self.joined.channels.remove(channel) else { return };
        if slot.link != Link::None {
            self.joined.ask(Ask::Leave(vec![channel.clone()]));
        }
        if let Some(reading) = slot.reading {
            self.joined.reads.remove(&reading.read);
        }
        self.partition.log.drop_where(channel, |name| self.joined.channels.topic_known_above(name).is_none());
    }
}
