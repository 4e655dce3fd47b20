//! The head of a MessagePack value: its kind and, where it has one, its length.

use rmp::Marker;

use crate::codec::element::Flaw;

/// What stands at the beginning of a value. Scalars are whole; of the rest the length follows.
pub(super) enum Head {
    Nil,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// Bytes that follow.
    Text(u32),
    /// Bytes that follow.
    Bin(u32),
    /// Bytes that follow, with the type among them.
    Ext(u32),
    /// Values that follow.
    Array(u32),
    /// Pairs that follow.
    Map(u32),
}

/// Takes the head of the next value.
pub(super) fn read_head(rest: &mut &[u8]) -> Result<Head, Flaw> {
    let [marker] = take(rest)?;
    Ok(match Marker::from_u8(marker) {
        Marker::Null => Head::Nil,
        Marker::True => Head::Boolean(true),
        Marker::False => Head::Boolean(false),
        Marker::FixPos(number) => Head::Unsigned(number.into()),
        Marker::U8 => Head::Unsigned(u8::from_be_bytes(take(rest)?).into()),
        Marker::U16 => Head::Unsigned(u16::from_be_bytes(take(rest)?).into()),
        Marker::U32 => Head::Unsigned(u32::from_be_bytes(take(rest)?).into()),
        Marker::U64 => Head::Unsigned(u64::from_be_bytes(take(rest)?)),
        Marker::FixNeg(number) => Head::Signed(number.into()),
        Marker::I8 => Head::Signed(i8::from_be_bytes(take(rest)?).into()),
        Marker::I16 => Head::Signed(i16::from_be_bytes(take(rest)?).into()),
        Marker::I32 => Head::Signed(i32::from_be_bytes(take(rest)?).into()),
        Marker::I64 => Head::Signed(i64::from_be_bytes(take(rest)?)),
        Marker::F32 => Head::Float(f32::from_be_bytes(take(rest)?).into()),
        Marker::F64 => Head::Float(f64::from_be_bytes(take(rest)?)),
        Marker::FixStr(length) => Head::Text(length.into()),
        Marker::Str8 => Head::Text(u8::from_be_bytes(take(rest)?).into()),
        Marker::Str16 => Head::Text(u16::from_be_bytes(take(rest)?).into()),
        Marker::Str32 => Head::Text(u32::from_be_bytes(take(rest)?)),
        Marker::Bin8 => Head::Bin(u8::from_be_bytes(take(rest)?).into()),
        Marker::Bin16 => Head::Bin(u16::from_be_bytes(take(rest)?).into()),
        Marker::Bin32 => Head::Bin(u32::from_be_bytes(take(rest)?)),
        Marker::FixArray(count) => Head::Array(count.into()),
        Marker::Array16 => Head::Array(u16::from_be_bytes(take(rest)?).into()),
        Marker::Array32 => Head::Array(u32::from_be_bytes(take(rest)?)),
        Marker::FixMap(count) => Head::Map(count.into()),
        Marker::Map16 => Head::Map(u16::from_be_bytes(take(rest)?).into()),
        Marker::Map32 => Head::Map(u32::from_be_bytes(take(rest)?)),
        Marker::FixExt1 => Head::Ext(2),
        Marker::FixExt2 => Head::Ext(3),
        Marker::FixExt4 => Head::Ext(5),
        Marker::FixExt8 => Head::Ext(9),
        Marker::FixExt16 => Head::Ext(17),
        Marker::Ext8 => Head::Ext(u32::from(u8::from_be_bytes(take(rest)?)) + 1),
        Marker::Ext16 => Head::Ext(u32::from(u16::from_be_bytes(take(rest)?)) + 1),
        Marker::Ext32 => Head::Ext(u32::from_be_bytes(take(rest)?).saturating_add(1)),
        Marker::Reserved => return Err(Flaw("has the byte c1, which MessagePack does not use".into())),
    })
}

/// Takes as many bytes as a head announced.
pub(super) fn bytes_of<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a [u8], Flaw> {
    let length = usize::try_from(length).map_err(|_| too_short())?;
    let (bytes, after) = rest.split_at_checked(length).ok_or_else(too_short)?;
    *rest = after;
    Ok(bytes)
}

/// Takes the bytes of a text whose head was read.
pub(super) fn read_text<'a>(rest: &mut &'a [u8], length: u32) -> Result<&'a str, Flaw> {
    let bytes = bytes_of(rest, length)?;
    simdutf8::basic::from_utf8(bytes).map_err(|_| Flaw("has a string that is not UTF-8".into()))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Flaw> {
    let (bytes, after) = rest.split_first_chunk::<N>().ok_or_else(too_short)?;
    *rest = after;
    Ok(*bytes)
}

fn too_short() -> Flaw {
    Flaw("ends before its last value does".into())
}
