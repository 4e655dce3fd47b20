//! A running broker: the real binary on a free port, ended when it is dropped.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use fanfare_protocol::Encoding;
use serde_json::{Value, json};

use crate::binary::{self, Version};
use crate::client::Client;
use crate::clock::WallClock;
use crate::events::Events;
use crate::http::{Answer, Ask, read_answer};
use crate::log::{Ended, Log};
use crate::redis::Redis;
use crate::socket::Socket;
use crate::value::normalized;
use crate::watchdog::within;
use crate::wire::Wire;

/// How a broker is started: its flags, its variables, and a working folder of its own.
#[derive(Debug)]
pub struct Setup {
    folder: PathBuf,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
    version: Version,
}

/// A broker that listens.
pub struct Broker {
    child: Child,
    log: Log,
    folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its epoch, such as `0.k3f9a`.
    pub epoch: String,
}

impl Setup {
    /// A broker without any setting; it would listen on its default port.
    pub fn bare() -> Setup {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("fanfare-tests-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written to");
        Setup { folder, flags: Vec::new(), variables: Vec::new(), version: Version::Own }
    }

    /// A broker with two workers on a free port of loopback.
    pub fn new() -> Setup {
        Setup::bare().flags(&["--listen", "127.0.0.1:0", "--workers", "2"])
    }

    /// The same with these flags behind the others.
    pub fn flags(mut self, flags: &[&str]) -> Setup {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// The same with a variable of the environment.
    pub fn variable(mut self, name: &str, value: &str) -> Setup {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with this wall clock.
    pub fn wall_clock(mut self, clock: &WallClock) -> Setup {
        self.variables.extend(clock.variables());
        self
    }

    /// The same, of the version behind this one.
    pub fn next_version(mut self) -> Setup {
        self.version = Version::Next;
        self
    }

    /// The same with this file in its working folder.
    pub fn file(self, name: &str, text: &str) -> Setup {
        std::fs::write(self.folder.join(name), text).expect("the working folder can be written to");
        self
    }

    /// The same with this configuration.
    pub fn config(self, text: &str) -> Setup {
        self.file("fanfare.toml", text)
    }

    /// Starts it and waits until it listens.
    pub async fn start(self) -> Broker {
        let (mut child, log) = self.spawn();
        let listening = |line: &str| {
            let (_, rest) = line.split_once("listening; open http://")?;
            rest.split('/').next()?.parse().ok()
        };
        let Some(address) = log.wait_for("the broker listens", listening) else {
            let status = child.wait().expect("a child can be waited for");
            panic!("the broker did not start: {status}\n{}", log.text());
        };
        let mut broker = Broker { child, log, folder: self.folder, address, epoch: String::new() };
        broker.learn_epoch().await;
        broker
    }

    /// A node of the cluster that this Redis joins.
    pub fn node(redis: &Redis) -> Setup {
        Setup::new().variable("FANFARE__BACKPLANE__REDIS", &redis.url())
    }

    /// Runs it until it ends by itself.
    pub fn run(self) -> Ended {
        let (mut child, log) = self.spawn();
        let ended = ended(&mut child, &log);
        drop(std::fs::remove_dir_all(&self.folder));
        ended
    }

    fn spawn(&self) -> (Child, Log) {
        let mut command = Command::new(binary::path(self.version));
        command.args(&self.flags).current_dir(&self.folder);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FANFARE")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let log = Log::read(child.stderr.take().expect("it is piped"));
        (child, log)
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

impl Broker {
    /// A broker without a configuration.
    pub async fn start() -> Broker {
        Setup::new().start().await
    }

    /// A broker with this configuration.
    pub async fn with(config: &str) -> Broker {
        Setup::new().config(config).start().await
    }

    /// Learns its epoch, which may have changed with what joins it to others; none while that is away.
    pub async fn learn_epoch(&mut self) {
        let answer = self.get("/v1/topics/none/messages").await;
        let cursor = if answer.status == 200 { answer.json()["cursor"].clone() } else { Value::Null };
        let epoch = cursor.as_str().and_then(|cursor| cursor.split_once(':')).map(|(epoch, _)| epoch);
        self.epoch = epoch.unwrap_or_default().to_owned();
    }

    /// Waits until it is ready.
    pub async fn until_ready(&self) {
        self.until_readiness(200).await;
    }

    /// Waits until `/readyz` answers with a status; why.
    pub async fn until_readiness(&self, status: u16) -> String {
        let wait = async {
            loop {
                let answer = self.get("/readyz").await;
                if answer.status == status {
                    break answer.text().to_owned();
                }
            }
        };
        within(&format!("/readyz answers {status}"), wait).await
    }

    /// A connected client.
    pub async fn connect(&self, encoding: Encoding) -> Client {
        Client::connect(self.address, encoding, &self.epoch).await
    }

    /// A client that speaks JSON and follows `filter` live.
    pub async fn follow(&self, filter: &str) -> Client {
        let mut client = self.connect(Encoding::Json).await;
        let ok = client.ask(json!(["subscribe", 1, filter])).await;
        assert_eq!((&ok[0], &ok[1]), (&json!("ok"), &json!(1)), "{ok}");
        client
    }

    /// A stream of events with this query, from `last_event_id` on, if there is one.
    pub async fn stream(&self, query: &str, last_event_id: Option<&str>) -> Events {
        let mut ask = Ask::new("GET", &format!("/v1/sse?{query}"));
        if let Some(id) = last_event_id {
            ask = ask.header("last-event-id", id);
        }
        Events::open(self, self.wire().await, &ask).await
    }

    /// An upgraded socket on which nothing was read yet.
    pub async fn socket(&self, encoding: Encoding) -> Socket {
        Socket::open(self.address, encoding).await
    }

    /// A connection on which nothing was said yet.
    pub async fn wire(&self) -> Wire {
        Wire::open(self.address).await
    }

    /// The answer to a request on a connection of its own.
    pub async fn ask(&self, ask: &Ask) -> Answer {
        let mut wire = self.wire().await;
        // An answer may come before all of the request is written.
        drop(wire.write(&ask.bytes(&self.address.to_string())).await);
        read_answer(&mut wire).await.expect("the broker answers")
    }

    /// The answer to a `GET`.
    pub async fn get(&self, target: &str) -> Answer {
        self.ask(&Ask::new("GET", target)).await
    }

    /// The JSON that a `GET` is answered with, positions written as `@7`.
    pub async fn get_json(&self, target: &str) -> Value {
        normalized(&self.get(target).await.json(), &self.epoch)
    }

    /// The answer to a `POST`.
    pub async fn post(&self, target: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.ask(&Ask::new("POST", target).header("content-type", content_type).body(body)).await
    }

    /// Publishes JSON; what the publisher is told, positions written as `@7`.
    pub async fn publish(&self, topic: &str, data: Value) -> Value {
        let answer = self.post(&format!("/v1/topics/{topic}"), "application/json", data.to_string()).await;
        normalized(&answer.json(), &self.epoch)
    }

    /// Publishes a batch; what became of each item, positions written as `@7`.
    pub async fn publish_batch(&self, items: &Value) -> Vec<Value> {
        let answer = self.post("/v1/publish", "application/json", items.to_string()).await;
        let mut said = normalized(&answer.json(), &self.epoch);
        let Value::Array(results) = said["results"].take() else { panic!("a batch has results: {said}") };
        results
    }

    /// Publishes the numbers of a range to a topic, in batches.
    pub async fn publish_numbers(&self, topic: &str, numbers: std::ops::Range<u64>) {
        let items: Vec<Value> = numbers.map(|number| json!({ "topic": topic, "data": number })).collect();
        for batch in items.chunks(1_000) {
            let body = Value::from(batch).to_string();
            let answer = self.post("/v1/publish", "application/json", body).await.json();
            let results = answer["results"].as_array().expect("results");
            assert!(results.iter().all(|result| result["position"].is_string()), "{answer}");
            assert_eq!(results.len(), batch.len());
        }
    }

    /// A figure by its name: with labels, or the sum over all of them; 0 if none was counted yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let answer = self.get("/metrics").await;
        let of = |line: &str| {
            let (labelled, value) = line.rsplit_once(' ')?;
            let unlabelled = labelled.split('{').next()?;
            (labelled == name || unlabelled == name)
                .then(|| value.parse::<f64>().expect("a figure is a number"))
        };
        answer.text().lines().filter_map(of).sum()
    }

    /// Waits until a figure is what it should be.
    pub async fn until_metric(&self, name: &str, holds: impl Fn(f64) -> bool) {
        let wait = async { while !holds(self.metric(name).await) {} };
        within(&format!("figure {name}"), wait).await;
    }

    /// Checks that the process lives, nothing in it has panicked, and a client new to it is served.
    pub async fn assert_well(&mut self) {
        assert_eq!(self.child.try_wait().expect("a child can be asked"), None, "the broker has ended");
        assert!(!self.log.text().contains("panicked"), "something panicked");
        let mut client = self.connect(Encoding::Json).await;
        let ok = client.ask(json!(["subscribe", 1, "well.being"])).await;
        assert_eq!(ok[0], "ok", "{ok}");
        let told = self.publish("well.being", json!("good")).await;
        client.expect(json!(["message", "well.being", told["position"], "good"])).await;
        assert_eq!(told["heard"], true);
    }

    /// True if the process lives and nothing in it has panicked.
    pub fn is_well(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && !self.has_logged("panicked")
    }

    /// True if a line of its log has this in it.
    pub fn has_logged(&self, text: &str) -> bool {
        self.log.text().contains(text)
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The line of the log that `find` takes, waited for.
    pub fn logged<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        self.log.wait_for(what, find).unwrap_or_else(|| panic!("{what}: never logged"))
    }

    /// Sends a signal such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.child.id())]).status();
        assert!(status.is_ok_and(|status| status.success()), "the signal is sent");
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ended {
        ended(&mut self.child, &self.log)
    }

    /// Sends a signal and waits for the end.
    pub fn end_by(self, signal: &str) -> Ended {
        self.signal(signal);
        self.ended()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("the broker said:\n{}", self.log.text());
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn ended(child: &mut Child, log: &Log) -> Ended {
    log.wait_for_end("the end of the process");
    let status = child.wait().expect("a child can be waited for");
    let mut stdout = String::new();
    let mut piped = child.stdout.take().expect("it is piped");
    piped.read_to_string(&mut stdout).expect("what it says is UTF-8");
    Ended { code: status.code(), stdout, stderr: log.text() }
}
