//! The lazy reader of what a client sends (RFC 6455): bytes in, events out, strict.
//!
//! It knows no socket and no clock. Whoever owns the socket waits until it is readable, reads into a buffer
//! that a worker's connections share, and hands the filled part in. A frame that lies wholly inside is decoded
//! where it is; only an unfinished frame or message, or what a pause left unread, is kept. Buffers grow with
//! what arrived, never with a declared length.

mod head;

use std::borrow::Cow;
use std::mem;
use std::ops::ControlFlow;

use fanfare_protocol::CloseCode;
use fastwebsockets::{OpCode, unmask};

use head::{Expected, Head};

/// One connection's reader; it owns no buffer while nothing is begun.
#[derive(Debug)]
pub(crate) struct Reader {
    pending: Option<Box<Pending>>,
    limits: ReaderLimits,
    /// How many frames and fragmented messages are finished; wraps.
    finished: u32,
    is_text: bool,
    is_over: bool,
}

/// How much one message may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReaderLimits {
    /// The most bytes of a message, over all its fragments.
    pub(crate) frame_bytes_max: usize,
    /// The most fragments of a message; an unfragmented one counts as one.
    pub(crate) fragments_max: u32,
}

/// What a client sent, whole and unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A message of the agreed type; UTF-8 if that is text.
    Message(&'a [u8]),
    /// A ping, whose payload the pong repeats.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// The client's close and its code; no event follows.
    Close(Option<u16>),
}

/// What a client broke; the close frame that answers it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ReadError {
    /// The code to close with.
    pub(crate) code: CloseCode,
    /// Why, for the close frame and the log.
    pub(crate) reason: Cow<'static, str>,
}

/// What is kept between reads; never empty.
#[derive(Debug, Default)]
struct Pending {
    /// The beginning of a frame, as it came.
    tail: Vec<u8>,
    message: Fragments,
    /// What a pause left unread, as it came; while there is some there is no tail.
    rest: Vec<u8>,
    /// How much of `rest` is read.
    rest_read: usize,
}

/// The finished fragments of an unfinished message.
#[derive(Debug, Default)]
struct Fragments {
    count: u32,
    bytes: Vec<u8>,
    /// How many of the bytes are known to be UTF-8.
    utf8_bytes: usize,
}

impl Reader {
    /// A reader of text messages, or else of binary ones.
    pub(crate) fn new(limits: ReaderLimits, is_text: bool) -> Reader {
        Reader { pending: None, limits, finished: 0, is_text, is_over: false }
    }

    /// Decodes what arrived. `on_event` breaks to pause: what follows that event is kept for `resume`.
    ///
    /// After an error or a close whatever comes is ignored.
    pub(crate) fn read(
        &mut self,
        bytes: &mut [u8],
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        assert!(!self.holds_rest(), "what a pause left is resumed before more is read");
        let read = self.decode(bytes, &mut on_event)?;
        if read < bytes.len() {
            self.pending.get_or_insert_default().rest = bytes[read..].to_vec();
        }
        self.release();
        Ok(())
    }

    /// Goes on with what a pause left; `on_event` may pause again.
    pub(crate) fn resume(
        &mut self,
        mut on_event: impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let Some(pending) = &mut self.pending else { return Ok(()) };
        let (mut rest, start) = (mem::take(&mut pending.rest), mem::take(&mut pending.rest_read));
        let rest_read = start + self.decode(&mut rest[start..], &mut on_event)?;
        if rest_read < rest.len() {
            let pending = self.pending.get_or_insert_default();
            (pending.rest, pending.rest_read) = (rest, rest_read);
        }
        self.release();
        Ok(())
    }

    /// True if a pause left something to `resume`; until then `read` must not be called.
    pub(crate) fn holds_rest(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| !pending.rest.is_empty())
    }

    /// A mark of the frame or fragmented message that the client has begun and not finished: the same mark as
    /// long as it is the same one. None while a pause left something, as then the client may well have sent it.
    pub(crate) fn partial(&self) -> Option<u32> {
        (self.pending.is_some() && !self.holds_rest()).then_some(self.finished)
    }

    /// Decodes from the front and returns how many bytes are done with: all, unless `on_event` breaks.
    fn decode(
        &mut self,
        bytes: &mut [u8],
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<usize, ReadError> {
        if self.is_over {
            return Ok(bytes.len());
        }
        let read = self.decode_frames(bytes, on_event);
        self.is_over |= read.is_err();
        if self.is_over {
            self.pending = None;
            return read.and(Ok(bytes.len()));
        }
        read
    }

    fn decode_frames(
        &mut self,
        bytes: &mut [u8],
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<usize, ReadError> {
        let (mut read, mut flow) = (0, ControlFlow::Continue(()));
        if self.pending.as_ref().is_some_and(|pending| !pending.tail.is_empty()) {
            (read, flow) = self.decode_tail(bytes, on_event)?;
        }
        while flow.is_continue() && !self.is_over && read < bytes.len() {
            let rest = &mut bytes[read..];
            let head = Head::parse(rest, self.expected())?.filter(|head| head.frame_bytes() <= rest.len());
            let Some(head) = head else {
                self.pending.get_or_insert_default().tail = rest.to_vec();
                return Ok(bytes.len());
            };
            read += head.frame_bytes();
            flow = self.finish_frame(head, &mut rest[..head.frame_bytes()], on_event)?;
        }
        Ok(read)
    }

    /// Lengthens the tail by what its frame still lacks and no more, and decodes it once it is whole.
    fn decode_tail(
        &mut self,
        bytes: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(usize, ControlFlow<()>), ReadError> {
        let mut tail = mem::take(&mut self.pending.get_or_insert_default().tail);
        let mut read = 0;
        let head = loop {
            match Head::parse(&tail, self.expected())? {
                Some(head) => break Some(head),
                None if read == bytes.len() => break None,
                None => tail.push(bytes[read]),
            }
            read += 1;
        };
        if let Some(head) = head {
            let lacking = head.frame_bytes() - tail.len();
            let arrived = lacking.min(bytes.len() - read);
            tail.extend_from_slice(&bytes[read..read + arrived]);
            read += arrived;
            if arrived == lacking {
                return Ok((read, self.finish_frame(head, &mut tail, on_event)?));
            }
        }
        self.pending.get_or_insert_default().tail = tail;
        Ok((read, ControlFlow::Continue(())))
    }

    fn finish_frame(
        &mut self,
        head: Head,
        frame: &mut [u8],
        on_event: &mut impl FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let payload = &mut frame[head.header_bytes..];
        unmask(payload, head.mask);
        let flow = match head.opcode {
            OpCode::Text | OpCode::Binary if head.is_final => {
                if self.is_text {
                    simdutf8::basic::from_utf8(payload).map_err(|_| ReadError::not_utf8("the text"))?;
                }
                on_event(Event::Message(payload))
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                match self.finish_fragment(head.is_final, payload)? {
                    Some(message) => on_event(Event::Message(&message)),
                    None => ControlFlow::Continue(()),
                }
            }
            OpCode::Ping => on_event(Event::Ping(payload)),
            OpCode::Pong => on_event(Event::Pong),
            OpCode::Close => {
                let code = parse_close(payload)?;
                self.is_over = true;
                on_event(Event::Close(code))
            }
        };
        if self.fragments_begun() == 0 {
            self.finished = self.finished.wrapping_add(1);
        }
        Ok(flow)
    }

    /// Adds a fragment and returns the whole message if it was the last.
    fn finish_fragment(&mut self, is_final: bool, payload: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        let message = &mut self.pending.get_or_insert_default().message;
        message.count += 1;
        message.bytes.extend_from_slice(payload);
        if self.is_text {
            message.check_utf8(is_final)?;
        }
        Ok(is_final.then(|| mem::take(message).bytes))
    }

    fn expected(&self) -> Expected {
        let message = self.pending.as_ref().map(|pending| &pending.message);
        Expected {
            is_text: self.is_text,
            limits: self.limits,
            fragments: message.map_or(0, |message| message.count),
            message_bytes: message.map_or(0, |message| message.bytes.len()),
        }
    }

    fn fragments_begun(&self) -> u32 {
        self.pending.as_ref().map_or(0, |pending| pending.message.count)
    }

    /// Gives back what is kept once it is empty.
    fn release(&mut self) {
        let is_empty = |pending: &Pending| {
            pending.tail.is_empty() && pending.message.count == 0 && pending.rest.is_empty()
        };
        if self.pending.as_deref().is_some_and(is_empty) {
            self.pending = None;
        }
    }
}

impl Fragments {
    /// Checks what was not checked yet; only the last fragment must not end inside a character.
    fn check_utf8(&mut self, is_final: bool) -> Result<(), ReadError> {
        match simdutf8::compat::from_utf8(&self.bytes[self.utf8_bytes..]) {
            Ok(_) => self.utf8_bytes = self.bytes.len(),
            Err(cut) if !is_final && cut.error_len().is_none() => self.utf8_bytes += cut.valid_up_to(),
            Err(_) => return Err(ReadError::not_utf8("the text")),
        }
        Ok(())
    }
}

impl ReadError {
    #[cold]
    fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> ReadError {
        ReadError { code, reason: reason.into() }
    }

    fn not_utf8(what: &str) -> ReadError {
        ReadError::new(CloseCode::NotUtf8, format!("{what} is not UTF-8"))
    }

    fn protocol(reason: impl Into<Cow<'static, str>>) -> ReadError {
        ReadError::new(CloseCode::ProtocolError, reason)
    }
}

/// The code of a client's close, if it gives one.
fn parse_close(payload: &[u8]) -> Result<Option<u16>, ReadError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(ReadError::protocol("a close of one byte")) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ReadError::protocol(format!("no close may carry the code {code}")));
    }
    std::str::from_utf8(reason).map_err(|_| ReadError::not_utf8("the reason of the close"))?;
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
