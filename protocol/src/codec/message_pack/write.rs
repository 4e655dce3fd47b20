//! Writing MessagePack into a `Vec`, which takes every write; every head in its shortest form.

use rmp::encode;

const FITS: &str = "a Vec takes every write";

pub(in crate::codec) fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

pub(in crate::codec) fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

pub(in crate::codec) fn write_unsigned(out: &mut Vec<u8>, number: u64) {
    encode::write_uint(out, number).expect(FITS);
}

pub(in crate::codec) fn write_signed(out: &mut Vec<u8>, number: i64) {
    encode::write_sint(out, number).expect(FITS);
}

pub(in crate::codec) fn write_float(out: &mut Vec<u8>, number: f64) {
    encode::write_f64(out, number).expect(FITS);
}

pub(in crate::codec) fn write_text(out: &mut Vec<u8>, text: &str) {
    encode::write_str(out, text).expect(FITS);
}

pub(in crate::codec) fn write_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    encode::write_bin(out, bytes).expect(FITS);
}

pub(in crate::codec) fn write_array(out: &mut Vec<u8>, count: usize) {
    encode::write_array_len(out, short(count)).expect(FITS);
}

pub(in crate::codec) fn write_map(out: &mut Vec<u8>, count: usize) {
    encode::write_map_len(out, short(count)).expect(FITS);
}

/// Writes a `str` of the ASCII that `write` appends.
pub(in crate::codec) fn write_text_with(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = open(out);
    write(out);
    let length = out.len() - at - 1;
    close(out, at, length, |head, length| {
        encode::write_str_len(head, short(length)).expect(FITS);
    });
}

/// Leaves room for a head whose count is not known yet; gives its place.
pub(in crate::codec) fn open(out: &mut Vec<u8>) -> usize {
    out.push(0);
    out.len() - 1
}

/// Writes the head of an array that was opened at `at`.
pub(in crate::codec) fn close_array(out: &mut Vec<u8>, at: usize, count: usize) {
    close(out, at, count, write_array);
}

/// Writes the head of a map that was opened at `at`.
pub(in crate::codec) fn close_map(out: &mut Vec<u8>, at: usize, count: usize) {
    close(out, at, count, write_map);
}

fn close(out: &mut Vec<u8>, at: usize, count: usize, write: fn(&mut Vec<u8>, usize)) {
    let end = out.len();
    write(out, count);
    let length = out.len() - end;
    if length == 1 {
        out[at] = out[end];
        out.truncate(end);
        return;
    }
    let mut head = [0; 5];
    head[..length].copy_from_slice(&out[end..]);
    out.truncate(end);
    out.splice(at..=at, head[..length].iter().copied());
}

fn short(count: usize) -> u32 {
    u32::try_from(count).expect("what is in memory has fewer than 2^32 elements")
}
