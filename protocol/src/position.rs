//! Where a message stands: epochs, positions and cursors, and how they are written.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Seqs stay below 2^53, so that JavaScript can hold them.
pub const SEQ_MAX: u64 = (1 << 53) - 1;
/// The most partitions, and so the most parts of a cursor.
pub const PARTITIONS_MAX: u16 = 256;
/// Lives are at most this (ten base-36 digits).
pub const LIFE_MAX: u64 = 36u64.pow(10) - 1;

/// One life of a partition's numbering, written `<partition>.<life>`: `0.k3f9a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch {
    /// The partition's number, from 0.
    pub partition: u16,
    /// A number drawn by chance when the life began, written in base 36; at most [`LIFE_MAX`].
    pub life: u64,
}

/// A message's place: its epoch and its seq in it, written `0.k3f9a:10492`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The life that numbered it.
    pub epoch: Epoch,
    /// Its number, from 1; 0 stands before the first message.
    pub seq: u64,
}

/// Where a filter stands: a position, or one for each partition joined by `,`, in order of partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Vec<Position>);

/// Why a text is no position or cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is no position such as `0.k3f9a:10492`, nor several joined by commas")]
pub struct PositionError;

impl Cursor {
    /// The cursor of these positions, one a partition; `None` if there is none or two are of one partition.
    pub fn new(mut positions: Vec<Position>) -> Option<Cursor> {
        positions.sort_unstable();
        let unique = positions.windows(2).all(|pair| pair[0].epoch.partition != pair[1].epoch.partition);
        (unique && !positions.is_empty()).then_some(Cursor(positions))
    }

    /// Its positions in order of partition.
    pub fn positions(&self) -> &[Position] {
        &self.0
    }

    /// The position in one partition.
    pub fn in_partition(&self, partition: u16) -> Option<Position> {
        self.0.iter().copied().find(|position| position.epoch.partition == partition)
    }

    /// Puts `position` in the place of the one of its own partition.
    pub fn replace(&mut self, position: Position) {
        match self.0.iter_mut().find(|old| old.epoch.partition == position.epoch.partition) {
            Some(old) => *old = position,
            None => {
                self.0.push(position);
                self.0.sort_unstable();
            }
        }
    }
}

impl Position {
    /// Appends it as it is written on the wire.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(self.epoch.partition).as_bytes());
        out.push(b'.');
        out.extend_from_slice(base36_digits(self.epoch.life, &mut [0; 10]).as_bytes());
        out.push(b':');
        out.extend_from_slice(itoa::Buffer::new().format(self.seq).as_bytes());
    }
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Cursor {
        Cursor(vec![position])
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Epoch, PositionError> {
        let (partition, life) = text.split_once('.').ok_or(PositionError)?;
        let partition = u16::try_from(decimal(partition)?).map_err(|_| PositionError)?;
        if partition >= PARTITIONS_MAX {
            return Err(PositionError);
        }
        Ok(Epoch { partition, life: base36(life)? })
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        let (epoch, seq) = text.split_once(':').ok_or(PositionError)?;
        Ok(Position { epoch: epoch.parse()?, seq: decimal(seq)? })
    }
}

impl FromStr for Cursor {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Cursor, PositionError> {
        if text.bytes().filter(|byte| *byte == b',').count() >= usize::from(PARTITIONS_MAX) {
            return Err(PositionError);
        }
        let positions = text.split(',').map(str::parse).collect::<Result<Vec<Position>, _>>()?;
        Cursor::new(positions).ok_or(PositionError)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, base36_digits(self.life, &mut [0; 10]))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.seq)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, position) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{position}")?;
        }
        Ok(())
    }
}

/// A decimal number up to [`SEQ_MAX`] in its one shortest form.
fn decimal(text: &str) -> Result<u64, PositionError> {
    let canonical = text == "0" || !text.starts_with('0');
    if text.is_empty() || text.len() > 16 || !canonical || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PositionError);
    }
    text.parse().ok().filter(|number| *number <= SEQ_MAX).ok_or(PositionError)
}

/// A life in base 36.
fn base36_digits(life: u64, digits: &mut [u8; 10]) -> &str {
    let (mut at, mut rest) = (digits.len(), life.min(LIFE_MAX));
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    std::str::from_utf8(&digits[at..]).expect("the digits are ASCII")
}

/// A base-36 number of lower-case digits in its one shortest form.
fn base36(text: &str) -> Result<u64, PositionError> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
    if text.is_empty() || text.len() > 10 || !canonical || !digits {
        return Err(PositionError);
    }
    u64::from_str_radix(text, 36).map_err(|_| PositionError)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_written_as_they_are_read() {
        for text in ["0.k3f9a:10492", "0.0:0", "15.zzzzzzzzzz:9007199254740991"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        let cursor: Cursor = "2.b:1,0.a:7".parse().unwrap();
        assert_eq!(cursor.to_string(), "0.a:7,2.b:1");
    }

    #[test]
    fn garbage_is_no_position() {
        for text in [
            "",
            ":",
            "0.a",
            "0.a:",
            "a:1",
            "0.:1",
            "0.A:1",
            "00.a:1",
            "0.0a:1",
            "0.a:01",
            "0.a:-1",
            "0.a:+1",
            "0.a:9007199254740992",
            "256.a:1",
            "0.zzzzzzzzzzz:1",
            "0.a:1,",
            "0.a:1,0.b:2",
            "0.a:1 ",
            "0.ä:1",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
        let long = vec!["0.a:1"; 300].join(",");
        assert!(long.parse::<Cursor>().is_err());
    }

    #[test]
    fn a_position_replaces_only_its_own_partitions_part() {
        let mut cursor: Cursor = "0.a:7,1.b:1".parse().unwrap();
        cursor.replace("1.c:9".parse().unwrap());
        assert_eq!(cursor.to_string(), "0.a:7,1.c:9");
    }
}
