//! As much of HTTP/2 (RFC 9113) as one request on a connection of its own needs.

use crate::wire::Wire;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Sends a `GET` on stream 1 and reads the head of its answer, which must be a 200.
pub(crate) async fn ask(wire: &mut Wire, authority: &str, target: &str) {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    // From the static table: `:method: GET`, `:scheme: http`; and two names with a value of their own.
    let mut head = vec![0x82, 0x86];
    for (name, value) in [(0x04, target), (0x01, authority)] {
        assert!(value.len() < 127, "{value} is short");
        head.extend([name, value.len() as u8]);
        head.extend(value.as_bytes());
    }
    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &head));
    wire.write(&bytes).await.expect("the broker reads");
    let (kind, _, head) = next(wire).await.expect("the broker answers");
    assert_eq!((kind, head.first()), (HEADERS, Some(&0x88)), "it is answered with 200");
}

/// The data that come next on stream 1; none at its end.
pub(crate) async fn read_data(wire: &mut Wire) -> Option<Vec<u8>> {
    loop {
        let (kind, flags, payload) = next(wire).await?;
        match kind {
            DATA if payload.is_empty() && flags & END_STREAM != 0 => return None,
            DATA => return Some(payload),
            RST_STREAM => panic!("the stream was reset"),
            _ => {}
        }
    }
}

/// The next frame of stream 1: its type, its flags, its payload. Settings are acknowledged.
async fn next(wire: &mut Wire) -> Option<(u8, u8, Vec<u8>)> {
    loop {
        let header = wire.take(9).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let payload = wire.take(length as usize).await?;
        if header[3] == SETTINGS && header[4] & ACK == 0 {
            wire.write(&frame(SETTINGS, ACK, 0, &[])).await.expect("the broker reads");
        }
        if header[8] == 1 {
            return Some((header[3], header[4], payload));
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}
