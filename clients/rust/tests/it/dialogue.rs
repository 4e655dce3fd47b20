//! A session's story as text: what happens to it, and after each line exactly what it says to do.
//!
//! `<` is a frame of the broker, `>` one of the client's, `- ` something else that happens, `= ` something else to do.
//! Time stands still but for `- wait`.

use std::path::PathBuf;

use fanfare_client::session::{Output, Session};
use fanfare_client::{Encoding, Event, Filter, Publication, PublishError, SubscribeOptions, Topic};
use fanfare_protocol::{Payload, Position};

#[test]
fn every_dialogue_that_the_clients_share_goes_as_written() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dialogues");
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let stories: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "txt")).collect();
    assert!(!stories.is_empty(), "{} is empty", folder.display());
    for story in stories {
        check(&story.display().to_string(), &std::fs::read_to_string(&story).unwrap());
    }
}

/// Runs the lines that happen and compares everything that is said with the other lines.
fn check(name: &str, story: &str) {
    let is_said = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines: Vec<&str> = story.lines().map(str::trim).filter(is_said).collect();
    let mut teller = Teller { session: Session::new(Encoding::Json), now_ms: 1_000 };
    let mut told: Vec<String> = Vec::new();
    for line in &lines {
        if !line.starts_with("< ") && !line.starts_with("- ") {
            continue;
        }
        told.push((*line).to_owned());
        teller.happens(line);
        while let Some(output) = teller.session.poll() {
            told.push(said(output));
        }
    }
    assert_eq!(told, lines, "{name} told:\n{}", told.join("\n"));
}

struct Teller {
    session: Session,
    now_ms: u64,
}

impl Teller {
    fn happens(&mut self, line: &str) {
        if let Some(frame) = line.strip_prefix("< ") {
            return self.session.receive(self.now_ms, frame.as_bytes());
        }
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let filter = |word: &str| Filter::parse(word).unwrap();
        match words[..] {
            // What a new session says before anything happens.
            ["begin"] => {}
            ["open"] => self.session.opened(self.now_ms),
            ["close", code] => self.session.closed(self.now_ms, code.parse().unwrap(), "test", 0.5),
            ["close"] => self.session.close(),
            ["wait", ms] => {
                self.now_ms += ms.parse::<u64>().unwrap();
                self.session.tick(self.now_ms, 0.5);
            }
            ["heard"] => self.session.heard(self.now_ms),
            ["subscribe", name, ref options @ ..] => {
                let mut subscribe = SubscribeOptions::default();
                for option in options {
                    match option.split_once('=').unwrap() {
                        ("after", cursor) => subscribe.after = Some(cursor.parse().unwrap()),
                        ("last", last) => subscribe.last = Some(last.parse().unwrap()),
                        ("echo", echo) => subscribe.echo = echo.parse().unwrap(),
                        other => panic!("{other:?}"),
                    }
                }
                assert!(self.session.subscribe(filter(name), subscribe));
            }
            ["unsubscribe", name] => self.session.unsubscribe(&filter(name)),
            ["hold", name] => self.session.hold(&filter(name)),
            ["release", name] => self.session.release(&filter(name)),
            ["publish", topic, data, ref key @ ..] => {
                let payload = Payload::Json(data.to_owned().into());
                let idempotency_key = key.first().map(|key| (*key).into());
                let publication = Publication { idempotency_key, ..Publication::new(payload) };
                self.session.publish(self.now_ms, Topic::parse(topic).unwrap(), publication);
            }
            ref other => panic!("{other:?} does not happen"),
        }
    }
}

fn said(output: Output) -> String {
    match output {
        Output::Connect => "= connect".to_owned(),
        Output::Send(frame) => format!("> {}", String::from_utf8(frame).unwrap()),
        Output::Event { filter, event } => format!("= {filter} {}", event_said(event)),
        Output::Moved { filter, cursor } => format!("= {filter} stands at {cursor}"),
        Output::Published { id, result: Ok(published) } => format!("= {id} published {}", published.position),
        Output::Published { id, result: Err(error) } => format!("= {id} failed: {}", error_said(&error)),
        Output::Close(Some(code)) => format!("= close {}", code.as_u16()),
        Output::Close(None) => "= drop".to_owned(),
    }
}

fn event_said(event: Event) -> String {
    let range = |from: Position, to: Position| format!("after {from} up to {to}");
    match event {
        Event::Message(message) => format!("gets {} {}", message.topic, message.position),
        Event::Gap(gap) => match gap.topic {
            Some(topic) => format!("misses {topic} {}", range(gap.from, gap.to)),
            None => format!("may miss {}", range(gap.from, gap.to)),
        },
        Event::Live(cursor) => format!("is live at {cursor}"),
        Event::Unsubscribed { code, reason } => format!("ends: {} {reason}", code.as_str()),
        Event::Closed { code, .. } => format!("is closed: {code}"),
    }
}

fn error_said(error: &PublishError) -> &str {
    match error {
        PublishError::Refused(refusal) => refusal.code.as_str(),
        PublishError::Unclear(_) => "unclear",
        PublishError::Closed { .. } => "closed",
        PublishError::BadTopic(..) | PublishError::Unreachable(_) => {
            panic!("{error} is no word of a session")
        }
    }
}
