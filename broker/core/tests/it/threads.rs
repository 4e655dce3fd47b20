//! A publisher and a worker on threads of their own: what can't be seen when one thing happens after another.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use fanfare_core::{Broker, Completion, Draft, Limits, Now, Publishing, TopicRules, Wake, Worker};
use fanfare_protocol::{Encoding, Filter, Payload, Publication, Request, SubscribeOptions, Topic};

const PUBLISHES: u64 = 60_000;
/// No clock runs: a publish that is forgotten waits for ever.
const NOW: Now = Now { us: 0, unix_ms: 0 };
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_publish_that_waits_is_never_forgotten() {
    let (wake, woken) = sync_channel(1);
    // A call that finds another waiting adds nothing to it.
    let wake: Wake = Box::new(move || _ = wake.try_send(()));
    let limits = Limits { inbox_bytes: 1, ..Limits::default() };
    let broker = Arc::new(Broker::new(1, TopicRules::default(), limits, vec![wake]));
    let (ready, is_ready) = sync_channel(1);
    let worker = {
        let broker = broker.clone();
        thread::spawn(move || deliver_all(broker, &woken, &ready))
    };
    is_ready.recv().unwrap();
    (0..PUBLISHES).for_each(|_| publish(&broker));
    worker.join().unwrap();
    assert_eq!(broker.stats().seq, PUBLISHES);
}

/// A worker with one session that follows everything and takes all at once.
fn deliver_all(broker: Arc<Broker>, woken: &Receiver<()>, ready: &SyncSender<()>) {
    let mut worker = Worker::new(0, broker);
    let key = worker.open(NOW, Encoding::Json);
    let (filter, options) = (Filter::parse(">").unwrap(), SubscribeOptions::default());
    worker.handle(NOW, key, Request::Subscribe { id: 1, filter, options });
    ready.send(()).unwrap();
    let mut delivered = 0;
    while delivered < PUBLISHES {
        let is_woken = woken.recv_timeout(PATIENCE);
        is_woken.unwrap_or_else(|_| panic!("{delivered} are delivered, and the worker is not woken"));
        while worker.deliver(NOW) || worker.has_dirty() {
            while let Some(key) = worker.next_dirty() {
                let bytes = worker.session(key).map_or(0, |session| session.outbox().bytes());
                worker.written(key, bytes);
            }
        }
        delivered += worker.take_stats().json.messages;
    }
}

/// Publishes, and waits until that is done.
fn publish(broker: &Broker) {
    let (done, is_done) = sync_channel(1);
    let completion = || -> Completion { Box::new(move |_, result| done.send(result).unwrap()) };
    let publication = Publication::new(Payload::Json("1".into()));
    let draft = Draft { topic: Topic::parse("a").unwrap(), publication, origin: None, deaf: 0 };
    match broker.publish(NOW, draft, completion) {
        Publishing::Done(result) => drop(result.unwrap()),
        Publishing::Waits(_) => {
            let result =
                is_done.recv_timeout(PATIENCE).expect("room came free, and nobody who waits was told");
            result.unwrap();
        }
    }
}
