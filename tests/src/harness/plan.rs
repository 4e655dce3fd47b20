//! What a run does, all of it drawn from its seed.

use fanfare_protocol::Encoding;

use super::faults::Fault;

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// What its chance comes from.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// What joins them; nothing if there is one.
    pub joined: Option<Joined>,
    /// The one node that is published to, if it is not all.
    pub publish_at: Option<usize>,
    /// The one node that is subscribed at, if it is not all.
    pub subscribe_at: Option<usize>,
    /// The configuration of each node.
    pub config: String,
    /// True if the configuration keeps more than the run publishes.
    pub keeps_all: bool,
    /// What is published to.
    pub topics: Vec<String>,
    /// How many publish.
    pub publishers: usize,
    /// How long a publisher waits between two messages, in milliseconds.
    pub pace_ms: u64,
    /// How many bytes a message is filled up to.
    pub data_bytes: usize,
    /// A publisher gives its connection up before the answer once in so many times; 0: never.
    pub answers_lost_once_in: usize,
    /// Who subscribes.
    pub subscribers: Vec<Habits>,
    /// What goes wrong, in order.
    pub strikes: Vec<Strike>,
    /// When it is enough.
    pub goal: Goal,
}

/// What a Redis that joins nodes does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It has it on its disk before it answers.
    Persistent,
    /// It has it on its disk, not yet safe, before it answers.
    Hasty,
    /// It loses it with its process.
    Forgetful,
    /// It loses it with its process, and closes the connection of who leaves little unread.
    Impatient,
}

/// One fault with its place in the run.
#[derive(Debug, Clone)]
pub struct Strike {
    /// It begins once this many publishes were answered since the one before was healed, and all subscribers follow.
    pub after_publishes: u64,
    /// What.
    pub fault: Fault,
    /// Which node it meets, of those that can be met one by one.
    pub node: usize,
    /// How long it lasts.
    pub for_ms: u64,
}

/// What must have been done, behind the last fault.
#[derive(Debug, Clone, Copy, Default)]
pub struct Goal {
    /// Answered publishes in all.
    pub publishes: u64,
    /// Answered subscribes in all.
    pub joins: u64,
    /// Answered subscribes that begin at the time of the answer.
    pub clean_joins: u64,
    /// Publishes that were refused.
    pub refusals: u64,
    /// Answers that repeated an earlier one.
    pub repeats: u64,
}

/// How a subscriber behaves.
#[derive(Debug, Clone)]
pub struct Habits {
    /// What it speaks.
    pub encoding: Encoding,
    /// What it follows.
    pub filters: Vec<String>,
    /// Its own policy, if it asks for one.
    pub on_slow: Option<&'static str>,
    /// True if only the newest of each topic is due to it when it is slow.
    pub latest: bool,
    /// How many of each topic it asks for when it comes for the first time.
    pub last: Option<u64>,
    /// It cuts its connection once in so many frames; 0: never.
    pub cuts_once_in: usize,
    /// It leaves a filter, and comes back to it from now on, once in so many frames; 0: never.
    pub leaves_once_in: usize,
    /// It stops reading for a while once in so many frames; 0: never.
    pub pauses_once_in: usize,
    /// Until so many publishes more were answered.
    pub pause_publishes: u64,
    /// True if little fits on its connection.
    pub is_narrow: bool,
    /// It comes back with a cursor that is not its own once in so many times; 0: never.
    pub lies_once_in: usize,
}

impl Habits {
    /// A subscriber that reads as fast as it can and never leaves.
    pub fn steady(number: usize, filters: &[&str]) -> Habits {
        Habits {
            encoding: Encoding::ALL[number % 2],
            filters: filters.iter().map(|filter| (*filter).to_owned()).collect(),
            on_slow: None,
            latest: false,
            last: None,
            cuts_once_in: 0,
            leaves_once_in: 0,
            pauses_once_in: 0,
            pause_publishes: 0,
            is_narrow: false,
            lies_once_in: 0,
        }
    }
}
