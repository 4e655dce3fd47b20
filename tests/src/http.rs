//! HTTP/1.1 by hand: a request as bytes, an answer read strictly.

use serde_json::Value;

use crate::wire::Wire;

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Ask {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Ask {
    /// A request without headers of its own and without a body.
    pub fn new(method: &str, target: &str) -> Ask {
        Ask { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// The same with one header more.
    pub fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this body, and its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Ask {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-length", &length)
    }

    /// The bytes on the wire; `host` stands in unless the request names another.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

impl Answer {
    /// The value of a header that is there at most once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "there are two of {name}");
        value
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// The body of a success as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(
            (self.status, self.header("content-type")),
            (200, Some("application/json")),
            "{}",
            self.text()
        );
        self.value()
    }

    /// The code and the detail of an error, which must be told as RFC 9457 has it.
    pub fn problem(&self) -> (u16, String, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.value();
        assert_eq!(problem["status"], self.status, "{problem}");
        let retry = problem["retry_after_ms"].as_u64();
        let header = self.header("retry-after").map(|seconds| seconds.parse().expect("seconds"));
        assert_eq!(header, retry.map(|ms| ms.div_ceil(1_000)), "{problem}");
        let word = |key: &str| problem[key].as_str().expect("a string").to_owned();
        (self.status, word("code"), word("detail"))
    }

    /// Checks that it is an error with this status and code whose detail says all of `told`.
    pub fn assert_problem(&self, status: u16, code: &str, told: &[&str]) {
        let (actual_status, actual_code, detail) = self.problem();
        assert_eq!((actual_status, actual_code.as_str()), (status, code), "{detail}");
        for word in told {
            assert!(detail.contains(word), "{detail:?} does not say {word:?}");
        }
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

/// The next answer on the connection; none if that ends first.
pub async fn read_answer(wire: &mut Wire) -> Option<Answer> {
    let mut answer = read_answer_head(wire).await?;
    answer.body = match (answer.header("content-length"), answer.header("transfer-encoding")) {
        (Some(length), None) => wire.take(length.parse().expect("a length")).await?,
        (None, Some("chunked")) => read_chunks(wire).await?,
        (None, None) if answer.status == 101 || answer.status == 204 => Vec::new(),
        other => panic!("the end of the body can't be found: {other:?}"),
    };
    Some(answer)
}

/// The next answer without its body.
pub(crate) async fn read_answer_head(wire: &mut Wire) -> Option<Answer> {
    let head = String::from_utf8(wire.take_through(b"\r\n\r\n").await?).expect("the head is UTF-8");
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().expect("a status");
    let header = |line: &str| {
        let (name, value) = line.split_once(':').expect("a header has a colon");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    Some(Answer { status, headers: lines.map(header).collect(), body: Vec::new() })
}

async fn read_chunks(wire: &mut Wire) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = String::from_utf8(wire.take_through(b"\r\n").await?).expect("a chunk's size is ASCII");
        let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size is hexadecimal");
        let chunk = wire.take(size + 2).await?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Some(body);
        }
    }
}
