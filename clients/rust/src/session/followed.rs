//! One filter: where it stands, and what it asks for after a cut.

use fanfare_protocol::{Cursor, SubscribeOptions};

use crate::event::Event;

/// A filter that somebody follows.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) stage: Stage,
    pub(super) cursor: Option<Cursor>,
    /// The options without `after` and `last`.
    options: SubscribeOptions,
    /// What is still to be asked for: nothing of it has come.
    last: Option<u32>,
}

/// What the broker knows of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing: there is no connection.
    Away,
    /// It was asked; what comes before the answer is of an earlier subscription.
    Asked {
        id: u64,
    },
    Replaying,
    Live,
    /// Nothing: it said to try again at this time.
    Waiting {
        until_ms: u64,
    },
    /// Nothing: there was no room for what came.
    Held,
}

impl Followed {
    /// A filter that stands where `options` say.
    pub(super) fn new(options: SubscribeOptions) -> Followed {
        let SubscribeOptions { after, last, .. } = options;
        Followed {
            stage: Stage::Away,
            cursor: after,
            last,
            options: SubscribeOptions { after: None, last: None, ..options },
        }
    }

    /// The options with which it is asked for by the request `id`.
    pub(super) fn ask(&mut self, id: u64) -> SubscribeOptions {
        self.stage = Stage::Asked { id };
        SubscribeOptions { after: self.cursor.clone(), last: self.last, ..self.options.clone() }
    }

    /// The answer came, with where it begins; true if it is live at once.
    pub(super) fn begin(&mut self, cursor: Option<Cursor>) -> bool {
        let is_replayed = self.cursor.is_some() || self.last.is_some();
        self.stage = if is_replayed { Stage::Replaying } else { Stage::Live };
        if cursor.is_some() {
            self.cursor = cursor;
        }
        !is_replayed
    }

    /// An event belongs to it.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Message(_) => self.last = None,
            Event::Live(_) => {
                self.last = None;
                self.stage = Stage::Live;
            }
            Event::Gap(_) | Event::Unsubscribed { .. } | Event::Closed { .. } => {}
        }
        event.advance(&mut self.cursor);
    }

    /// The connection is gone.
    pub(super) fn cut(&mut self) {
        if self.is_known_to_the_broker() {
            self.stage = Stage::Away;
        }
    }

    /// True if the broker sends, or will send, what it matches.
    pub(super) fn is_known_to_the_broker(&self) -> bool {
        match self.stage {
            Stage::Asked { .. } | Stage::Replaying | Stage::Live => true,
            Stage::Away | Stage::Waiting { .. } | Stage::Held => false,
        }
    }
}
