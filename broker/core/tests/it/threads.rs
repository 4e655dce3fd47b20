//! Publishers and a worker on threads of their own: what can't be seen when one thing happens after another.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fanfare_core::{Broker, Completion, Draft, Limits, Now, Publishing, TopicRules, Wake, Worker};
use fanfare_protocol::{Encoding, Filter, Payload, Publication, Request, SubscribeOptions, Topic};

const PUBLISHERS: u64 = 1;
const PUBLISHES: u64 = 20_000;
/// No clock runs: a publish that is forgotten waits for ever.
const NOW: Now = Now { us: 0, unix_ms: 0 };
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_publish_that_waits_is_never_forgotten() {
    let (wake, woken) = sync_channel(1);
    let limits = Limits { inbox_bytes: 1, ..Limits::default() };
    let broker = Arc::new(Broker::new(1, TopicRules::default(), limits, vec![waker(wake)]));
    let (ready, is_ready) = mpsc::channel();
    let worker = {
        let broker = broker.clone();
        thread::spawn(move || {
            let mut worker = Worker::new(0, broker);
            let key = worker.open(NOW, Encoding::Json);
            let filter = Filter::parse(">").unwrap();
            worker.handle(
                NOW,
                key,
                Request::Subscribe { id: 1, filter, options: SubscribeOptions::default() },
            );
            ready.send(()).unwrap();
            let mut delivered = 0;
            while delivered < PUBLISHERS * PUBLISHES {
                match woken.recv_timeout(PATIENCE) {
                    Ok(()) => {}
                    Err(RecvTimeoutError::Timeout) => {
                        panic!("{delivered} delivered, and the worker is not woken")
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                while worker.deliver(NOW) || worker.has_dirty() {
                    while let Some(key) = worker.next_dirty() {
                        let bytes = worker.session(key).map_or(0, |session| session.outbox().bytes());
                        worker.written(key, bytes);
                    }
                }
                delivered += worker.take_stats().json.messages;
            }
        })
    };
    is_ready.recv().unwrap();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|_| {
            let broker = broker.clone();
            thread::spawn(move || (0..PUBLISHES).for_each(|_| publish(&broker)))
        })
        .collect();
    for publisher in publishers {
        publisher.join().unwrap();
    }
    worker.join().unwrap();
    assert_eq!(broker.stats().seq, PUBLISHERS * PUBLISHES);
}

fn waker(wake: SyncSender<()>) -> Wake {
    Box::new(move || match wake.try_send(()) {
        Ok(()) | Err(TrySendError::Full(())) => {}
        Err(TrySendError::Disconnected(())) => {}
    })
}

/// Publishes, and waits until that is done.
fn publish(broker: &Broker) {
    let (done, is_done) = mpsc::channel();
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
