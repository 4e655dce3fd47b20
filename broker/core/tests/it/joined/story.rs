//! What came of a seed, as it is told: lines that can be read, and counts that show that all of it happens.

use fanfare_protocol::Frame;

use super::world::World;

/// What came of a seed, so that all of it can be seen to happen.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) messages: usize,
    pub(super) replayed: usize,
    pub(super) holes: usize,
    pub(super) null_gaps: usize,
    pub(super) read: usize,
    pub(super) refused: usize,
    pub(super) acknowledged: usize,
    pub(super) numbered: usize,
    pub(super) lives: usize,
    pub(super) closed: usize,
    /// Resumes of which nothing was missing.
    pub(super) clean: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Tally) {
        self.messages += other.messages;
        self.replayed += other.replayed;
        self.holes += other.holes;
        self.null_gaps += other.null_gaps;
        self.read += other.read;
        self.refused += other.refused;
        self.acknowledged += other.acknowledged;
        self.numbered += other.numbered;
        self.lives += other.lives;
        self.closed += other.closed;
        self.clean += other.clean;
    }
}

impl World {
    pub(super) fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push_back(format!("{:>8} ms  {}", self.now_ms, terse(&line())));
            if lines.len() > self.lines_max {
                lines.pop_front();
            }
        }
    }

    /// Counts what a client read.
    pub(super) fn count(&mut self, frame: &Frame) {
        if let Frame::Message(_) = frame {
            self.tally.messages += 1;
        } else if let Frame::Ok { body, .. } = frame {
            self.tally.clean += usize::from(body.resumed == Some(true));
        } else if let Frame::Gap(gap) = frame {
            let Tally { holes, null_gaps, .. } = &mut self.tally;
            *(if gap.topic.is_some() { holes } else { null_gaps }) += 1;
        } else if let Frame::Replay { frame, .. } = frame {
            self.tally.replayed += 1;
            if let Frame::Gap(_) = &**frame {
                self.count(frame);
            }
        }
    }
}

/// A line that can be read: positions as they are written, and nothing of what is not there.
fn terse(line: &str) -> String {
    let mut short = line.replace("Position { epoch: Epoch { partition: 0, life: ", "(");
    for (long, text) in [
        (" }, seq: ", ":"),
        ("Epoch { partition: 0, life: ", "(life "),
        ("xxxxxxxxxx", ""),
        ("Cursor(", "("),
        ("media_type: None, ", ""),
        ("user: None, ", ""),
        ("position: None, ", ""),
        ("heard: None, ", ""),
        ("receivers: None, ", ""),
        ("repeated: None, ", ""),
        ("frames: None, ", ""),
        ("headers: None", ""),
        ("count: None", ""),
        ("more: None", ""),
    ] {
        short = short.replace(long, text);
    }
    short
}
