//! A broker with its clients, told by lines what happens to them.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::sync::{Arc, Mutex};

use fanfare_core::{
    Broker, Draft, Filters, HistoryRule, Limits, Now, Publishing, Refusal, SessionKey, Stream, Ticket,
    TopicRule, TopicRules, Wake, Worker,
};
use fanfare_protocol::{CloseCode, Encoding, Filter, Frame, OkBody, OnSlow, Request, Topic, decode_request};

const WORKERS: usize = 2;

/// What a dialogue is held on: made by its settings when the first thing happens.
#[derive(Default)]
pub(super) struct Stage {
    limits: Limits,
    rules: Vec<TopicRule>,
    /// The first welcome of each session is told too.
    shows_welcome: bool,
    playing: Option<Playing>,
}

struct Playing {
    limits: Limits,
    rules: TopicRules,
    life: u64,
    now_ms: u64,
    broker: Arc<Broker>,
    workers: Vec<Worker>,
    clients: BTreeMap<String, Client>,
    /// Workers that do not deliver.
    is_held: bool,
    waits: Vec<(u64, Ticket)>,
    told: Arc<Mutex<Vec<String>>>,
}

struct Client {
    worker: usize,
    key: SessionKey,
    /// How many bytes more its connection takes; none: all.
    takes: Option<usize>,
    received: Vec<u8>,
    is_stream: bool,
}

impl Stage {
    /// A bound by name, or `history` or `on_slow` of a filter.
    pub(super) fn set(&mut self, setting: &str) {
        assert!(self.playing.is_none(), "settings stand before all that happens");
        let words: Vec<&str> = setting.split(' ').collect();
        match words[..] {
            ["history", filter, count, age] => {
                let history = HistoryRule { count: count.parse().unwrap(), age_ms: milliseconds(age) };
                self.rule(filter).history = history;
            }
            ["on_slow", filter, policy] => self.rule(filter).on_slow = OnSlow::parse(policy).unwrap(),
            ["show", "welcome"] => self.shows_welcome = true,
            [name, value] => self.limit(name, value),
            _ => panic!("{setting:?} is no setting"),
        }
    }

    /// What happens, and what comes of it.
    pub(super) fn play(&mut self, happening: &str) -> Vec<String> {
        let Stage { limits, rules, playing, shows_welcome } = self;
        let playing =
            playing.get_or_insert_with(|| Playing::new(limits.clone(), TopicRules::new(rules.clone()), 1, 0));
        playing.play(happening);
        playing.settle();
        let mut told = std::mem::take(&mut *playing.told.lock().unwrap());
        told.retain(|line| *shows_welcome || !line.contains(r#"["welcome",null,"#));
        told
    }

    fn rule(&mut self, filter: &str) -> &mut TopicRule {
        let filter = Filter::parse(filter).unwrap();
        let index = self.rules.iter().position(|rule| rule.filter == filter).unwrap_or_else(|| {
            let (history, on_slow) = TopicRules::default().rule_for("any");
            self.rules.push(TopicRule { filter, history, on_slow });
            self.rules.len() - 1
        });
        &mut self.rules[index]
    }

    fn limit(&mut self, name: &str, value: &str) {
        let limits = &mut self.limits;
        let number = || value.parse::<usize>().unwrap();
        match name {
            "heartbeat" => limits.heartbeat_ms = milliseconds(value),
            "numbering_ttl" => limits.numbering_ttl_ms = milliseconds(value),
            "idempotency" => limits.idempotency_ms = milliseconds(value),
            "idempotency_keys" => limits.idempotency_keys = number(),
            "outbox_items" => limits.outbox_items = number(),
            "outbox_bytes" => limits.outbox_bytes = number(),
            "inbox_bytes" => limits.inbox_bytes = number(),
            "history_bytes" => limits.history_bytes = number(),
            "topics" => limits.topics = number(),
            "holes" => limits.holes = number(),
            "subscriptions" => limits.subscriptions = number(),
            "filters" => limits.filters = number(),
            "last_messages" => limits.last_messages = number(),
            "waiting_publishes" => limits.waiting_publishes = number(),
            "requests_per_s" => limits.requests_per_s = number() as u32,
            "control_frames_per_s" => limits.control_frames_per_s = number() as u32,
            _ => panic!("{name:?} is no bound"),
        }
    }
}

impl Playing {
    fn new(limits: Limits, rules: TopicRules, life: u64, now_ms: u64) -> Playing {
        let wakes = (0..WORKERS).map(|_| -> Wake { Box::new(|| ()) }).collect();
        let broker = Arc::new(Broker::new(life, rules.clone(), limits.clone(), wakes));
        let workers = (0..WORKERS).map(|index| Worker::new(index, broker.clone())).collect();
        let (clients, told) = (BTreeMap::new(), Arc::default());
        Playing {
            limits,
            rules,
            life,
            now_ms,
            broker,
            workers,
            clients,
            is_held: false,
            waits: Vec::new(),
            told,
        }
    }

    fn play(&mut self, happening: &str) {
        let (word, rest) = happening.split_once(' ').unwrap_or((happening, ""));
        match word {
            "open" => self.open(rest),
            "stream" => self.stream(rest),
            "publish" => self.publish(rest),
            "wait" => self.wait(milliseconds(rest)),
            "hold" => self.is_held = true,
            "release" => self.is_held = false,
            "clear" => {
                let cleared = self.broker.clear(&Topic::parse(rest).unwrap());
                self.tell(format!("cleared {cleared}"));
            }
            "topics" => self.list(rest),
            "restart" => {
                *self = Playing::new(self.limits.clone(), self.rules.clone(), self.life + 1, self.now_ms)
            }
            client => self.client(client, rest),
        }
    }

    /// `open a`, or `open a on 1`.
    fn open(&mut self, rest: &str) {
        let (name, worker) = rest.split_once(" on ").unwrap_or((rest, "0"));
        let worker: usize = worker.parse().unwrap();
        let now = self.now();
        let key = self.workers[worker].open(now, Encoding::Json);
        self.opened(name, worker, key, false);
    }

    /// `stream a news prices.* after=0.1:7 last=2 on_slow=drop`.
    fn stream(&mut self, rest: &str) {
        let (name, asks) = rest.split_once(' ').unwrap();
        let (mut after, mut last, mut on_slow, mut takes) = (None, None, None, None);
        let mut filters = Vec::new();
        for ask in asks.split(' ') {
            match ask.split_once('=') {
                Some(("after", cursor)) => after = Some(cursor.to_owned()),
                Some(("last", count)) => last = Some(count.parse().unwrap()),
                Some(("takes", bytes)) => takes = Some(bytes.parse().unwrap()),
                Some(("on_slow", policy)) => on_slow = OnSlow::parse(policy),
                _ => filters.push(Filter::parse(ask).unwrap()),
            }
        }
        let stream =
            Stream { filters: Filters::new(filters).unwrap(), after, last, on_slow, retry_ms: 2_000 };
        let now = self.now();
        let key = self.workers[0].open_stream(now, stream);
        self.opened(name, 0, key, true);
        self.clients.get_mut(name).unwrap().takes = takes;
    }

    fn opened(&mut self, name: &str, worker: usize, key: SessionKey, is_stream: bool) {
        let client = Client { worker, key, takes: None, received: Vec::new(), is_stream };
        assert!(self.clients.insert(name.to_owned(), client).is_none(), "{name} is not open yet");
    }

    /// What a client does: one of a few words, or the frame that it sends, perhaps several times.
    fn client(&mut self, name: &str, does: &str) {
        let now = self.now();
        let client = self.clients.get_mut(name).unwrap_or_else(|| panic!("{name} is open"));
        let (worker, key) = (&mut self.workers[client.worker], client.key);
        match does.split(' ').collect::<Vec<_>>()[..] {
            ["takes", "all"] => client.takes = None,
            ["takes", bytes] => client.takes = Some(bytes.parse().unwrap()),
            ["pings", payload] => worker.ping_received(now, key, payload.as_bytes()),
            ["closes", code] => worker.close_received(key, Some(code.parse().unwrap())),
            ["is", "disconnected"] => {
                worker.close(key, CloseCode::Disconnected, "disconnected by an operator")
            }
            ["is", "sent", "away", "for", time] => worker.send_away(key, milliseconds(time)),
            ["is", "gone"] => {
                worker.remove(key);
                self.clients.remove(name);
            }
            [times, "times", ..] => {
                let frame = does.splitn(3, ' ').nth(2).unwrap();
                (0..times.parse::<usize>().unwrap()).for_each(|_| receive(worker, now, key, frame));
            }
            _ => receive(worker, now, key, does),
        }
        if let Some((index, key)) = self.clients.get(name).map(|client| (client.worker, client.key)) {
            self.write(index, key);
        }
    }

    /// A publish by HTTP: topic, data and options as a `publish` frame has them.
    fn publish(&mut self, rest: &str) {
        let (topic, rest) = rest.split_once(' ').unwrap();
        let frame = format!(r#"["publish",1,"{topic}",{rest}]"#);
        let Request::Publish { topic, publication, .. } =
            decode_request(Encoding::Json, frame.as_bytes()).unwrap()
        else {
            panic!("{frame} is a publish");
        };
        let told = self.told.clone();
        let completion = || -> fanfare_core::Completion {
            Box::new(move |_, result| told.lock().unwrap().push(format!("then {}", outcome(result))))
        };
        let draft = Draft { topic, publication, origin: None, deaf: 0 };
        match self.broker.publish(self.now(), draft, completion) {
            Publishing::Done(result) => self.tell(outcome(result)),
            Publishing::Waits(ticket) => {
                self.waits.push((self.now_ms + self.limits.publish_wait_ms, ticket));
                self.tell("waits".to_owned());
            }
        }
    }

    /// Time passes: what is due is done when it is due, and once a second what is old is swept out.
    fn wait(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while self.now_ms < end_ms {
            let due = self.workers.iter().filter_map(Worker::next_timeout).min();
            let due = due.into_iter().chain(self.waits.iter().map(|(at, _)| *at)).min();
            let second = (self.now_ms / 1_000 + 1) * 1_000;
            self.now_ms = due.unwrap_or(end_ms).max(self.now_ms + 1).min(second).min(end_ms);
            let now = self.now();
            if self.now_ms.is_multiple_of(1_000) {
                self.broker.sweep(now);
            }
            self.workers.iter_mut().for_each(|worker| worker.tick(now));
            for (_, ticket) in self.waits.extract_if(.., |(at, _)| *at <= now.ms()) {
                if self.broker.cancel(ticket) {
                    let waited_ms = self.limits.publish_wait_ms;
                    let line = format!("then {}", outcome(Err(Refusal::Overloaded { waited_ms })));
                    self.told.lock().unwrap().push(line);
                }
            }
            self.settle();
        }
    }

    fn list(&mut self, filter: &str) {
        let listed = self.broker.list_topics(&Filter::parse(filter).unwrap(), None, 100);
        for topic in listed {
            self.tell(format!("topic {} {} kept {}", topic.name, topic.position, topic.kept));
        }
    }

    /// Everything is delivered and written that can be.
    fn settle(&mut self) {
        let now = self.now();
        loop {
            let mut idle = true;
            for index in 0..WORKERS {
                if !self.is_held {
                    idle &= !self.workers[index].deliver(now);
                }
                while let Some(key) = self.workers[index].next_dirty() {
                    idle = false;
                    self.write(index, key);
                }
            }
            if idle {
                return;
            }
        }
    }

    fn write(&mut self, index: usize, key: SessionKey) {
        let now = self.now();
        let found = self.clients.iter_mut().find(|(_, client)| client.worker == index && client.key == key);
        let Some((name, client)) = found else { return };
        let worker = &mut self.workers[index];
        while let Some(session) = worker.session(key)
            && client.takes != Some(0)
            && !session.outbox().is_empty()
        {
            let mut bytes = Vec::new();
            if client.is_stream {
                session.outbox().copy(100, &mut bytes);
            } else {
                let mut slices = [IoSlice::new(&[]); 8];
                let count = session.outbox().gather(&mut slices);
                bytes.extend(slices[..count].iter().flat_map(|slice| slice.iter().copied()));
            }
            let taken = client.takes.unwrap_or(bytes.len()).min(bytes.len());
            client.received.extend_from_slice(&bytes[..taken]);
            client.takes = client.takes.map(|takes| takes - taken);
            worker.written(key, taken);
            if worker.is_replaying(key) {
                worker.pull(now, key);
            }
        }
        let name = name.clone();
        let mut is_closed = false;
        let is_over =
            |session: &fanfare_core::Session| session.closing().is_some() && session.outbox().is_empty();
        is_closed |= client.is_stream && worker.session(key).is_some_and(is_over);
        while let Some(line) = client.next_line(&mut is_closed) {
            self.told.lock().unwrap().push(format!("{name} {line}"));
        }
        if is_closed {
            self.clients.remove(&name);
            self.workers[index].remove(key);
        }
    }

    fn tell(&self, line: String) {
        self.told.lock().unwrap().push(line);
    }

    fn now(&self) -> Now {
        Now { us: self.now_ms * 1_000, unix_ms: self.now_ms }
    }
}

impl Client {
    /// What has arrived whole: a frame's text, or what a control frame says.
    fn next_line(&mut self, is_closed: &mut bool) -> Option<String> {
        if self.is_stream {
            let end = self.received.windows(2).position(|bytes| bytes == b"\n\n")?;
            let event: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
            return Some(String::from_utf8(event).unwrap().replace('\n', " | "));
        }
        let at = |index: usize| self.received.get(index).copied().map(usize::from);
        let (opcode, short) = (at(0)?, at(1)?);
        assert!(short < 127, "a dialogue's frames are short");
        let (header, length) = if short < 126 { (2, short) } else { (4, at(2)? << 8 | at(3)?) };
        if self.received.len() < header + length {
            return None;
        }
        let payload: Vec<u8> = self.received.drain(..header + length).skip(header).collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some(match opcode {
            0x81 => text(&payload),
            0x8a => format!("pong {}", text(&payload)),
            0x88 => {
                *is_closed = true;
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                format!("close {code} {}", text(&payload[2..])).trim_end().to_owned()
            }
            other => panic!("{other:#x} is no frame of a broker"),
        })
    }
}

/// Hands over what a client sent, as the daemon does.
fn receive(worker: &mut Worker, now: Now, key: SessionKey, frame: &str) {
    match decode_request(Encoding::Json, frame.as_bytes()) {
        Ok(request) => worker.handle(now, key, request),
        Err(error) => worker.refuse(now, key, error),
    }
}

/// What an HTTP publisher is told.
fn outcome(result: Result<fanfare_core::Published, Refusal>) -> String {
    match result {
        Ok(published) => {
            let mut frame = Vec::new();
            Frame::Ok { id: 1, body: OkBody::from(published) }.encode(Encoding::Json, &mut frame);
            let frame = String::from_utf8(frame).unwrap();
            format!("published {}", frame.trim_start_matches(r#"["ok",1,"#).trim_end_matches(']'))
        }
        Err(refusal) => format!("refused {}: {refusal}", refusal.code().as_str()),
    }
}

/// `25s` or `300ms`.
fn milliseconds(text: &str) -> u64 {
    match text.strip_suffix("ms") {
        Some(number) => number.parse().unwrap(),
        None => text.strip_suffix('s').unwrap().parse::<u64>().unwrap() * 1_000,
    }
}
