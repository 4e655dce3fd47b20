//! What a subscription brings, and what that means for its cursor.

use fanfare_protocol::{Cursor, ErrorCode, Gap, Message};

/// One thing that a subscription brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A message that the filter matches, from the past or as it happens.
    Message(Message),
    /// Something is missing: of the topic, or of all that the filter matches if none is named.
    Gap(Gap),
    /// Caught up, at this cursor; comes again after each cut, once what was missed has come.
    Live(Cursor),
    /// The broker refused or ended the subscription, and trying again would not help. The last event.
    Unsubscribed {
        /// The stable word.
        code: ErrorCode,
        /// For a person.
        reason: String,
    },
    /// The client's connection is closed for good. The last event.
    Closed {
        /// The close code: 1000 if this side closed it.
        code: u16,
        /// For a person.
        reason: String,
    },
}

impl Event {
    /// Moves the cursor of a filter to which this event belongs.
    ///
    /// A message and a gap without a topic replace the part of their partition, even by a lower one; `Live`
    /// replaces all of it; nothing else moves it.
    pub fn advance(&self, cursor: &mut Option<Cursor>) {
        let position = match self {
            Event::Message(message) => message.position,
            Event::Gap(gap) if gap.topic.is_none() => gap.to,
            Event::Live(all) => {
                *cursor = Some(all.clone());
                return;
            }
            Event::Gap(_) | Event::Unsubscribed { .. } | Event::Closed { .. } => return,
        };
        match cursor {
            Some(cursor) => cursor.replace(position),
            None => *cursor = Some(position.into()),
        }
    }

    /// True if no other event follows.
    pub fn is_last(&self) -> bool {
        matches!(self, Event::Unsubscribed { .. } | Event::Closed { .. })
    }
}
