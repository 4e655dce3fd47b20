//! The head of an answer that lasts as long as its connection, written by hand: hyper would chunk such a body.

use std::time::SystemTime;

use hyper::header::{CONNECTION, DATE};
use hyper::http::response;

/// The bytes of a head whose body ends with the connection (RFC 9112, section 6.3).
pub(super) fn head_bytes(head: &response::Parts) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    };
    for (name, value) in &head.headers {
        line(name.as_str(), value.as_bytes());
    }
    line(DATE.as_str(), httpdate::fmt_http_date(SystemTime::now()).as_bytes());
    line(CONNECTION.as_str(), b"close");
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use hyper::Response;

    use super::*;

    #[test]
    fn a_lasting_head_has_no_length_and_closes() {
        let answer = Response::builder().header("content-type", "text/plain").header("vary", "origin");
        let (parts, ()) = answer.body(()).unwrap().into_parts();
        let head = String::from_utf8(head_bytes(&parts)).unwrap();
        let (before, date) = head.split_once("date: ").unwrap();
        assert_eq!(before, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nvary: origin\r\n");
        let (date, after) = date.split_once("\r\n").unwrap();
        assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
        assert_eq!(after, "connection: close\r\n\r\n");
    }
}
