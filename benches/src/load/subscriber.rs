//! One subscriber: the count of what it received.

use super::client::Edge;
use super::outcome::Tally;
use crate::wire::{self, Frame, Kind};

/// What one subscriber has received.
pub(super) struct Subscriber {
    pub(super) topic: usize,
    pub(super) received: u64,
    /// The newest seq, at the subscribers that look.
    newest: Option<u64>,
    /// What tells that it is subscribed.
    sign: Kind,
}

impl Subscriber {
    /// One that has received nothing; `looks` at every seq if told to.
    pub(super) fn new(topic: usize, looks: bool, edge: Edge) -> Subscriber {
        let sign = match edge {
            Edge::WebSocket(_) => Kind::Ok,
            Edge::Events => Kind::Live,
        };
        Subscriber { topic, received: 0, newest: looks.then_some(0), sign }
    }

    /// Counts one frame.
    #[inline]
    pub(super) fn take(&mut self, frame: &Frame<'_>, tally: &mut Tally) {
        let kind = Kind::of(frame.payload);
        if kind == Kind::Message {
            self.received += 1;
            tally.messages += 1;
            self.look(frame.payload, tally);
        } else {
            note(kind, self.sign, frame, tally);
        }
    }

    #[inline]
    fn look(&mut self, payload: &[u8], tally: &mut Tally) {
        let Some(newest) = &mut self.newest else { return };
        let seq = wire::seq(payload).unwrap_or(0);
        tally.disordered += u64::from(seq <= *newest);
        *newest = seq;
    }
}

#[cold]
fn note(kind: Kind, sign: Kind, frame: &Frame<'_>, tally: &mut Tally) {
    match kind {
        kind if kind == sign => tally.subscribed += 1,
        Kind::Message | Kind::Welcome | Kind::Ping => {}
        Kind::Gap => tally.gaps += 1,
        Kind::Ok | Kind::Replay | Kind::Live | Kind::Goodbye | Kind::Other => {
            tally.unexpected += 1;
            let text = || String::from_utf8_lossy(frame.payload).into_owned();
            tally.unexpected_first.get_or_insert_with(text);
        }
    }
}
