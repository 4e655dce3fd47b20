//! What a subscriber that stopped reading finds once it reads again.

use anyhow::{Result, bail};
use fanfare_protocol::{CloseCode, Encoding, Frame, OnSlow, Position};

use crate::wire::{self, Kind};

/// One subscriber that stopped: what it was sent, in order.
#[derive(Debug, Clone)]
pub(super) struct Stopped {
    policy: OnSlow,
    /// The seq up to which nothing is missing, by what it was told.
    newest: u64,
    /// What it got before anything was missing.
    prefix: u64,
    /// The newest so many without a jump among them.
    run: u64,
    pub(super) gaps: u64,
    pub(super) jumps: u64,
    pub(super) said_goodbye: bool,
    pub(super) is_cut: bool,
    fault: Option<String>,
}

impl Stopped {
    /// One that follows a topic of which everything in its partition is, from `start` on.
    pub(super) fn new(policy: OnSlow, start: u64) -> Stopped {
        Stopped {
            policy,
            newest: start,
            prefix: 0,
            run: 0,
            gaps: 0,
            jumps: 0,
            said_goodbye: false,
            is_cut: false,
            fault: None,
        }
    }

    /// Takes one frame.
    pub(super) fn take(&mut self, payload: &[u8]) -> Result<()> {
        let told = || String::from_utf8_lossy(payload).into_owned();
        match Kind::of(payload) {
            Kind::Message => self.message(wire::seq(payload).unwrap_or(0)),
            Kind::Gap => {
                let Frame::Gap(gap) = Frame::decode(Encoding::Json, payload)? else { bail!("{}", told()) };
                self.gap(gap.from, gap.to);
            }
            Kind::Goodbye => {
                let slow = CloseCode::Slow.as_u16();
                self.said_goodbye = true;
                if !matches!(Frame::decode(Encoding::Json, payload)?, Frame::Goodbye { code, .. } if code == slow)
                {
                    self.note(told());
                }
            }
            // A close frame is binary: the code is all of it that matters, and the goodbye has said it.
            Kind::Other if self.said_goodbye => {}
            Kind::Welcome | Kind::Ok | Kind::Ping => {}
            Kind::Replay | Kind::Live | Kind::Other => self.note(told()),
        }
        Ok(())
    }

    /// What is wrong with it, if the newest seq is `last` and so many topics were published to in turn: of each of
    /// them the newest message is among the last.
    pub(super) fn verdict(&self, last: u64, topics: u64) -> Option<String> {
        if let Some(fault) = &self.fault {
            return Some(fault.clone());
        }
        let ends_at = format!("ends at seq {} of {last}", self.newest);
        match self.policy {
            OnSlow::Disconnect if !self.is_cut => Some(format!("was not cut, and {ends_at}")),
            OnSlow::Disconnect => None,
            OnSlow::Drop | OnSlow::Latest if self.is_cut => Some(format!("was cut, and {ends_at}")),
            OnSlow::Drop | OnSlow::Latest if self.newest != last => Some(ends_at),
            OnSlow::Drop if self.gaps == 0 => {
                Some("lost nothing: it was not stopped for long enough".to_owned())
            }
            OnSlow::Latest if self.jumps == 0 => {
                Some("lost nothing: it was not stopped for long enough".to_owned())
            }
            OnSlow::Latest if self.run < topics => {
                Some(format!("got the newest of {} of {topics} topics", self.run))
            }
            OnSlow::Drop | OnSlow::Latest => None,
        }
    }

    /// How many messages it had before the first that is missing.
    pub(super) fn prefix(&self) -> u64 {
        self.prefix
    }

    fn message(&mut self, seq: u64) {
        if self.said_goodbye {
            self.note(format!("seq {seq} after the goodbye"));
        }
        if seq <= self.newest {
            self.note(format!("seq {seq} after {}", self.newest));
        }
        let is_next = seq == self.newest + 1;
        if !is_next && self.policy != OnSlow::Latest {
            self.note(format!("a silent hole: seq {seq} after {}", self.newest));
        }
        self.run = if is_next { self.run + 1 } else { 1 };
        self.jumps += u64::from(!is_next);
        self.prefix += u64::from(self.gaps + self.jumps == 0);
        self.newest = seq;
    }

    fn gap(&mut self, from: Position, to: Position) {
        self.gaps += 1;
        if self.policy != OnSlow::Drop || from.seq != self.newest || to.seq <= from.seq {
            self.note(format!("a gap from {from} to {to} after seq {}", self.newest));
        }
        self.newest = to.seq;
    }

    fn note(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOODBYE: &str = r#"["goodbye",4500,"too slow",{"reconnect_after_ms":0}]"#;

    fn verdict(policy: OnSlow, seqs_and_frames: &[&str], is_cut: bool) -> Option<String> {
        stopped(policy, seqs_and_frames, is_cut).verdict(9, 1)
    }

    fn stopped(policy: OnSlow, seqs_and_frames: &[&str], is_cut: bool) -> Stopped {
        let mut stopped = Stopped::new(policy, 4);
        for told in seqs_and_frames {
            let frame = match told.parse::<u64>() {
                Ok(seq) => format!(r#"["message","a","0.b:{seq}",1]"#),
                Err(_) => (*told).to_owned(),
            };
            stopped.take(frame.as_bytes()).unwrap();
        }
        stopped.is_cut = is_cut;
        stopped
    }

    #[test]
    fn a_disconnected_one_has_a_whole_beginning_and_is_cut() {
        assert_eq!(verdict(OnSlow::Disconnect, &["5", "6", GOODBYE, "\u{11}\u{14}slow"], true), None);
        assert_eq!(verdict(OnSlow::Disconnect, &["5", "6"], true), None);
        assert!(verdict(OnSlow::Disconnect, &["5", "7", GOODBYE], true).unwrap().contains("silent hole"));
        assert!(verdict(OnSlow::Disconnect, &["5", "6"], false).unwrap().contains("not cut"));
        assert!(
            verdict(OnSlow::Disconnect, &["5", GOODBYE, "6"], true).unwrap().contains("after the goodbye")
        );
    }

    #[test]
    fn a_gap_covers_just_what_was_dropped() {
        let gap = r#"["gap",null,"0.b:5","0.b:7",{"count":2}]"#;
        assert_eq!(verdict(OnSlow::Drop, &["5", gap, "8", "9"], false), None);
        assert!(verdict(OnSlow::Drop, &["5", "6", gap, "8", "9"], false).is_some(), "it covers what came");
        assert!(verdict(OnSlow::Drop, &["5", gap, "9"], false).is_some(), "it leaves one out");
        assert!(verdict(OnSlow::Drop, &["5", gap, "8"], false).unwrap().contains("ends at seq 8 of 9"));
        assert!(verdict(OnSlow::Drop, &["5", "6", "7", "8", "9"], false).unwrap().contains("lost nothing"));
    }

    #[test]
    fn the_latest_stands_last() {
        assert_eq!(verdict(OnSlow::Latest, &["5", "6", "9"], false), None);
        assert!(verdict(OnSlow::Latest, &["5", "9", "8"], false).is_some());
        assert!(verdict(OnSlow::Latest, &["5", "8"], false).is_some());
    }

    #[test]
    fn the_latest_of_each_topic_stands_at_the_end() {
        let verdict = |seqs: &[&str]| stopped(OnSlow::Latest, seqs, false).verdict(9, 3);
        assert_eq!(verdict(&["5", "7", "8", "9"]), None);
        assert!(verdict(&["5", "6", "8", "9"]).unwrap().contains("2 of 3 topics"));
    }
}
