//! The streams of events over HTTP/2 of a worker: waking those for which something waits, and ending those that take too long.

use std::collections::VecDeque;
use std::task::Waker;

use fanfare_core::SessionKey;
use slotmap::SparseSecondaryMap;

use super::Local;
use super::sockets::CLOSE_MS;

/// The streams of all sessions of a worker that are the body of an answer.
#[derive(Default)]
pub(crate) struct Streams {
    by_session: SparseSecondaryMap<SessionKey, Stream>,
    /// Closing streams by when they are ended; in order, since all have equally long.
    closing: VecDeque<(u64, SessionKey)>,
    /// True if one was woken since the last look.
    has_woken: bool,
}

struct Stream {
    /// Who pulls it, while there is nothing to be pulled.
    waker: Option<Waker>,
    is_closing: bool,
}

impl Streams {
    pub(crate) fn insert(&mut self, key: SessionKey) {
        self.by_session.insert(key, Stream { waker: None, is_closing: false });
    }

    pub(crate) fn remove(&mut self, key: SessionKey) {
        self.by_session.remove(key);
    }

    /// Lets a stream wait until it is woken.
    pub(crate) fn wait(&mut self, key: SessionKey, waker: &Waker) {
        let Some(stream) = self.by_session.get_mut(key) else { return };
        match &mut stream.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Notes that a stream closes: its client has until `due_ms` to read it to its end.
    pub(crate) fn note_closing(&mut self, key: SessionKey, due_ms: u64) {
        let Some(stream) = self.by_session.get_mut(key) else { return };
        if !stream.is_closing {
            stream.is_closing = true;
            self.closing.push_back((due_ms, key));
        }
    }

    /// True if one was woken since the last call: it pulls once the worker's pass gives way.
    pub(super) fn take_woken(&mut self) -> bool {
        std::mem::take(&mut self.has_woken)
    }
}

impl Local {
    /// Wakes a stream for which something waits; one that closes must have been read to its end in time.
    pub(super) fn wake_stream(&self, key: SessionKey) {
        let mut streams = self.streams.borrow_mut();
        if self.worker.borrow().session(key).and_then(|session| session.closing()).is_some() {
            streams.note_closing(key, self.node.clock.now().ms() + CLOSE_MS);
        }
        let Streams { by_session, has_woken, .. } = &mut *streams;
        let Some(stream) = by_session.get_mut(key) else { return };
        if let Some(waker) = stream.waker.take() {
            waker.wake();
            *has_woken = true;
        }
    }

    /// Ends the streams whose clients did not read them to their end.
    pub(super) fn end_overdue_streams(&self, now_ms: u64) {
        let mut streams = self.streams.borrow_mut();
        while let Some((_, key)) = streams.closing.pop_front_if(|(due, _)| *due <= now_ms) {
            if streams.by_session.remove(key).is_some() {
                self.worker.borrow_mut().remove(key);
                self.closed.notify_waiters();
            }
        }
    }
}
