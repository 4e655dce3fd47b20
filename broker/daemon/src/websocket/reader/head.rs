//! The header of a client's frame: read, and refused if it breaks a rule or may not come next.

use fanfare_protocol::CloseCode;
use fastwebsockets::OpCode;

use super::{ReadError, ReaderLimits};

/// The longest payload of a control frame (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// A checked header.
#[derive(Clone, Copy)]
pub(super) struct Head {
    pub(super) opcode: OpCode,
    pub(super) is_final: bool,
    pub(super) mask: [u8; 4],
    pub(super) header_bytes: usize,
    pub(super) payload_bytes: usize,
}

/// What the next frame is checked against.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) is_text: bool,
    pub(super) limits: ReaderLimits,
    /// How many fragments of the message have arrived; 0 between messages.
    pub(super) fragments: u32,
    /// How many bytes they carried.
    pub(super) message_bytes: usize,
}

impl Head {
    /// Header and payload together.
    pub(super) fn frame_bytes(&self) -> usize {
        self.header_bytes + self.payload_bytes
    }

    /// The header that `bytes` begin with, checked as far as it arrived; none while it is not whole.
    ///
    /// The checks stand in the order of the bytes, so that the verdict does not depend on how they are cut.
    pub(super) fn parse(bytes: &[u8], expected: Expected) -> Result<Option<Head>, ReadError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(ReadError::protocol("a reserved bit is set, and no extension was agreed on"));
        }
        let Ok(opcode) = OpCode::try_from(first & 0x0f) else {
            return Err(ReadError::protocol(format!("there is no opcode {:#x}", first & 0x0f)));
        };
        let is_final = first & 0x80 != 0;
        expected.check_turn(opcode, is_final)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err(ReadError::protocol("a client's frame must be masked"));
        }
        let short = second & 0x7f;
        if is_control(opcode) && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(ReadError::protocol("a control frame carries at most 125 bytes"));
        }
        let Some((declared, length_bytes)) = parse_length(short, &bytes[2..])? else { return Ok(None) };
        let payload_bytes = expected.check_size(opcode, declared)?;
        let header_bytes = 2 + length_bytes + 4;
        let Some(&mask) = bytes[2 + length_bytes..].first_chunk() else { return Ok(None) };
        Ok(Some(Head { opcode, is_final, mask, header_bytes, payload_bytes }))
    }
}

impl Expected {
    /// Refuses a frame that may not come next.
    fn check_turn(&self, opcode: OpCode, is_final: bool) -> Result<(), ReadError> {
        match opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong if is_final => return Ok(()),
            OpCode::Close | OpCode::Ping | OpCode::Pong => {
                return Err(ReadError::protocol("a control frame must not be fragmented"));
            }
            OpCode::Continuation if self.fragments == 0 => {
                return Err(ReadError::protocol("a continuation without a beginning"));
            }
            OpCode::Text | OpCode::Binary if self.fragments > 0 => {
                return Err(ReadError::protocol("a new message inside a fragmented one"));
            }
            OpCode::Text if !self.is_text => {
                return Err(ReadError::new(
                    CloseCode::WrongFrameType,
                    "binary frames were agreed on, this is text",
                ));
            }
            OpCode::Binary if self.is_text => {
                return Err(ReadError::new(
                    CloseCode::WrongFrameType,
                    "text frames were agreed on, this is binary",
                ));
            }
            OpCode::Text | OpCode::Binary | OpCode::Continuation => {}
        }
        let limit = self.limits.fragments_max;
        if self.fragments >= limit {
            let reason = format!("the message has more than {limit} fragments (limits.fragments)");
            return Err(ReadError::new(CloseCode::PolicyViolation, reason));
        }
        Ok(())
    }

    /// The declared length, if the message may become as long as that makes it.
    fn check_size(&self, opcode: OpCode, declared: u64) -> Result<usize, ReadError> {
        if is_control(opcode) {
            return Ok(declared as usize);
        }
        let limit = self.limits.frame_bytes_max;
        let room = limit - self.message_bytes;
        let fitting = usize::try_from(declared).ok().filter(|declared| *declared <= room);
        fitting.ok_or_else(|| {
            let bytes = declared.saturating_add(self.message_bytes as u64);
            let reason =
                format!("the message has at least {bytes} bytes, the limit is {limit} (limits.frame_bytes)");
            ReadError::new(CloseCode::TooLarge, reason)
        })
    }
}

/// The payload's length and how many bytes beyond the second of the header tell it; none while they are missing.
fn parse_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, ReadError> {
    let (length, length_bytes, shortest) = match short {
        126 => {
            let Some(length) = bytes.first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*length)), 2, 126)
        }
        127 => {
            let Some(length) = bytes.first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*length), 8, 0x1_0000)
        }
        _ => return Ok(Some((u64::from(short), 0))),
    };
    if length < shortest {
        return Err(ReadError::protocol("a length must have its shortest form"));
    }
    if length >> 63 != 0 {
        return Err(ReadError::protocol("a length has at most 63 bits"));
    }
    Ok(Some((length, length_bytes)))
}

fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}
