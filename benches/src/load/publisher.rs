//! One publisher: a keep-alive HTTP connection with one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;

/// One publisher's connection.
pub(crate) struct Publisher {
    pub(crate) stream: TcpStream,
    request: Arc<[u8]>,
    sent: usize,
    topic: usize,
    /// When the request was begun whose answer has not come.
    asked: Option<Instant>,
    answer: Vec<u8>,
}

/// The answer to one publish.
pub(crate) struct Answer {
    pub(crate) topic: usize,
    /// Messages that were given a position.
    pub(crate) accepted: usize,
    pub(crate) ns: u32,
}

impl Publisher {
    /// Connects.
    pub(crate) fn connect(server: SocketAddr) -> Result<Publisher> {
        let stream = std::net::TcpStream::connect(server).context("connecting a publisher")?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let (stream, request) = (TcpStream::from_std(stream), Arc::from([]));
        Ok(Publisher { stream, request, sent: 0, topic: 0, asked: None, answer: Vec::new() })
    }

    /// True if no answer is awaited.
    pub(crate) fn is_free(&self) -> bool {
        self.asked.is_none()
    }

    /// Begins a publish to `topic`.
    pub(crate) fn ask(&mut self, request: Arc<[u8]>, topic: usize) -> Result<()> {
        assert!(self.is_free(), "one request at a time");
        (self.request, self.sent, self.topic, self.asked) = (request, 0, topic, Some(Instant::now()));
        self.write()
    }

    /// Writes what the socket takes of the request.
    pub(crate) fn write(&mut self) -> Result<()> {
        while self.sent < self.request.len() {
            match self.stream.write(&self.request[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("publishing"),
            }
        }
        Ok(())
    }

    /// Reads all that is there; the answer, once it is whole.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> Result<Option<Answer>> {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed a publisher's connection"),
                Ok(read) => self.answer.extend_from_slice(&scratch[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("reading a publish's answer"),
            }
        }
        let Some((status, body)) = parse(&self.answer)? else { return Ok(None) };
        let asked = self.asked.take().context("an answer that nobody asked for")?;
        let accepted = if status == 200 { count(body, b"\"position\":") } else { 0 };
        self.answer.clear();
        let ns = u32::try_from(asked.elapsed().as_nanos()).unwrap_or(u32::MAX);
        Ok(Some(Answer { topic: self.topic, accepted, ns }))
    }
}

/// The status and body of a whole answer with a `Content-Length`, or `None` while it is not whole.
fn parse(answer: &[u8]) -> Result<Option<(u16, &[u8])>> {
    let Some(end) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&answer[..end]).context("an answer's head")?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).context("an answer's status")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let length = length.with_context(|| format!("no Content-Length: {head}"))?;
    let body = &answer[end + 4..];
    ensure!(body.len() <= length, "an answer of {} bytes where {length} were announced", body.len());
    Ok((body.len() == length).then_some((status, body)))
}

fn count(body: &[u8], word: &[u8]) -> usize {
    body.windows(word.len()).filter(|found| *found == word).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{\"position\":\"0\"}";
        assert!(parse(&answer[..answer.len() - 1]).unwrap().is_none());
        let (status, body) = parse(answer).unwrap().unwrap();
        assert_eq!((status, count(body, b"\"position\":")), (200, 1));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
