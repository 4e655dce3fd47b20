//! Who follows which topic, and what was published last.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use super::socket::Socket;
use crate::wire;

/// As long as a life of the broker's is.
pub(super) const EPOCH: &str = "0.floor00000";
/// How much may wait for sockets that took nothing before publishes wait too.
const BACKLOG_BYTES_MAX: usize = 64 << 20;

/// All that the floor knows.
#[derive(Default)]
pub(super) struct State {
    seq: u64,
    sockets_by_topic: HashMap<String, Vec<Rc<Socket>>>,
    /// What sockets have not taken yet.
    backlog_bytes: usize,
    /// Wakes publishes that wait for a smaller backlog.
    pub(super) drained: Rc<Notify>,
    frame: Vec<u8>,
}

impl State {
    /// Appends to `frame` the WebSocket frame of the next message; its seq.
    pub(super) fn push_message(&mut self, frame: &mut Vec<u8>, topic: &str, data: &[u8]) -> u64 {
        self.seq += 1;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let head = format!("[\"message\",\"{topic}\",\"{EPOCH}:{}\",", self.seq);
        let meta = format!(",{{\"time\":{time}}}]");
        wire::push_text(frame, &[head.as_bytes(), data, meta.as_bytes()]);
        self.seq
    }

    /// Writes one message to every subscriber of its topic; its seq.
    pub(super) fn publish(&mut self, topic: &str, data: &[u8]) -> u64 {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        let seq = self.push_message(&mut frame, topic, data);
        self.write(topic, &frame);
        self.frame = frame;
        seq
    }

    /// Writes `bytes` to every subscriber of `topic`, one `write()` each.
    pub(super) fn write(&mut self, topic: &str, bytes: &[u8]) {
        for socket in self.sockets_by_topic.get(topic).into_iter().flatten() {
            self.backlog_bytes += socket.write(bytes);
        }
    }

    /// True if anybody follows `topic`.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.sockets_by_topic.get(topic).is_some_and(|sockets| !sockets.is_empty())
    }

    /// True if publishes have to wait.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog_bytes > BACKLOG_BYTES_MAX
    }

    /// Lets a socket follow a topic; the cursor where it stands.
    pub(super) fn subscribe(&mut self, topic: String, socket: Rc<Socket>) -> String {
        self.sockets_by_topic.entry(topic).or_default().push(socket);
        format!("{EPOCH}:{}", self.seq)
    }

    /// Forgets a closed socket.
    pub(super) fn forget(&mut self, topic: &str, socket: &Rc<Socket>) {
        if let Some(sockets) = self.sockets_by_topic.get_mut(topic) {
            sockets.retain(|other| !Rc::ptr_eq(other, socket));
        }
    }

    /// Takes `bytes` off the backlog.
    pub(super) fn drain(&mut self, bytes: usize) {
        self.backlog_bytes -= bytes;
        if !self.is_behind() {
            self.drained.notify_waiters();
        }
    }
}
