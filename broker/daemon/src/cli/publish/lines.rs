//! A message for each line: what has come by the time the last answer is there goes together.

use std::io::{BufRead, Read as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fanfare_client::{PublishError, Published, Publisher, Refusal};
use fanfare_protocol::{Publication, Topic};
use tokio::sync::mpsc;

use super::{PublishFlags, explained, outcome, publication};

/// The longest line; more than any broker takes by default.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// Lines that are read ahead.
const WAITING_MAX: usize = 64;
/// Lines that go together, and their bytes: below what a broker takes by default.
const BATCH_LINES_MAX: usize = 500;
const BATCH_BYTES_MAX: usize = 256 << 10;

struct Line {
    number: u64,
    bytes: Vec<u8>,
}

/// Publishes each line of standard input; lines that are refused for good are told and passed over.
pub(super) async fn publish(flags: &PublishFlags, publisher: &Publisher) -> anyhow::Result<()> {
    let (sender, mut lines) = mpsc::channel(WAITING_MAX);
    let reader = std::thread::spawn(move || read(std::io::stdin().lock(), &sender));
    let (mut read_ahead, mut refused) = (None, 0_u64);
    loop {
        let batch = next_batch(&mut lines, &mut read_ahead).await;
        if batch.is_empty() {
            break;
        }
        refused += publish_batch(flags, publisher, &batch).await?;
    }
    reader.join().expect("reading does not panic").context("standard input can't be read")?;
    if refused > 0 {
        bail!("{refused} {} not published", if refused == 1 { "line was" } else { "lines were" });
    }
    Ok(())
}

fn read(mut input: impl BufRead, lines: &mpsc::Sender<Line>) -> std::io::Result<()> {
    for number in 1.. {
        let mut bytes = Vec::new();
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if read as u64 == LINE_BYTES_MAX {
            let what = format!("line {number} is longer than {LINE_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if !bytes.is_empty() && lines.blocking_send(Line { number, bytes }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits for a line and takes those that are there already; none at the end.
async fn next_batch(lines: &mut mpsc::Receiver<Line>, read_ahead: &mut Option<Line>) -> Vec<Line> {
    let first = match read_ahead.take() {
        Some(line) => Some(line),
        None => lines.recv().await,
    };
    let Some(first) = first else { return Vec::new() };
    let mut bytes = first.bytes.len();
    let mut batch = vec![first];
    while batch.len() < BATCH_LINES_MAX {
        let Ok(line) = lines.try_recv() else { break };
        bytes += line.bytes.len();
        if bytes > BATCH_BYTES_MAX {
            *read_ahead = Some(line);
            break;
        }
        batch.push(line);
    }
    batch
}

/// How many lines were refused for good. What was refused for now, and all behind it, is tried again in order.
async fn publish_batch(flags: &PublishFlags, publisher: &Publisher, batch: &[Line]) -> anyhow::Result<u64> {
    let mut refused = 0;
    let mut items: Vec<(u64, (Topic, Publication))> = Vec::new();
    for Line { number, bytes } in batch {
        match publication(flags, bytes.clone()) {
            Ok(publication) => items.push((*number, (flags.topic.clone(), publication))),
            Err(error) => {
                eprintln!("fanfare: line {number} was not published: {error}");
                refused += 1;
            }
        }
    }
    let (numbers, items): (Vec<u64>, Vec<_>) = items.into_iter().unzip();
    let mut done = 0;
    while done < items.len() {
        let results = match ask(publisher, &items[done..]).await {
            Ok(results) => results,
            Err(error) => bail!("stopped at line {}: {}", numbers[done], explained(&error)),
        };
        for result in results {
            match result {
                Ok(published) => print(&published),
                Err(Refusal { retry_after_ms: Some(ms), code, detail }) => {
                    eprintln!("fanfare: line {} waits {ms} ms: {detail} ({})", numbers[done], code.as_str());
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    break;
                }
                Err(refusal) => {
                    eprintln!("fanfare: line {} was not published: {refusal}", numbers[done]);
                    refused += 1;
                }
            }
            done += 1;
        }
    }
    Ok(refused)
}

async fn ask(
    publisher: &Publisher,
    items: &[(Topic, Publication)],
) -> Result<Vec<Result<Published, Refusal>>, PublishError> {
    let [(topic, publication)] = items else { return publisher.publish_batch(items).await };
    match publisher.publish(topic.as_str(), publication.clone()).await {
        Ok(published) => Ok(vec![Ok(published)]),
        Err(PublishError::Refused(refusal)) => Ok(vec![Err(refusal)]),
        Err(error) => Err(error),
    }
}

fn print(published: &Published) {
    // Publishing goes on though nobody reads the answers.
    drop(writeln!(std::io::stdout(), "{}", outcome(published)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_empty_ones_passed_over() {
        let (sender, mut lines) = mpsc::channel(10);
        read(&b"one\r\n\n{\"a\": 1}\nlast"[..], &sender).unwrap();
        drop(sender);
        let read: Vec<_> = std::iter::from_fn(|| lines.try_recv().ok())
            .map(|line| (line.number, String::from_utf8(line.bytes).unwrap()))
            .collect();
        let expected = [(1, "one"), (3, "{\"a\": 1}"), (4, "last")];
        assert_eq!(read, expected.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn a_line_without_an_end_is_an_error() {
        let (sender, _lines) = mpsc::channel(1);
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let error = read(endless, &sender).unwrap_err().to_string();
        assert_eq!(error, "line 1 is longer than 1048576 bytes");
    }

    #[tokio::test]
    async fn a_batch_has_what_is_there_up_to_its_bytes() {
        let (sender, mut lines) = mpsc::channel(10);
        for number in 1..=3 {
            sender.try_send(Line { number, bytes: vec![b'x'; BATCH_BYTES_MAX / 2] }).ok().unwrap();
        }
        drop(sender);
        let mut read_ahead = None;
        let mut sizes = Vec::new();
        loop {
            let batch = next_batch(&mut lines, &mut read_ahead).await;
            if batch.is_empty() {
                break;
            }
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [2, 1]);
    }
}
