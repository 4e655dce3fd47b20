//! A session that followed many filters leaves in parts.

use std::sync::Arc;

use fanfare_core::{Broker, Completion, Draft, Limits, Now, Publishing, SessionKey, TopicRules, Worker};
use fanfare_protocol::{Encoding, Filter, Payload, Publication, Request, SubscribeOptions, Topic};

const NOW: Now = Now { us: 0, unix_ms: 0 };
const FILTERS: usize = 600;

fn follow_all(worker: &mut Worker) -> SessionKey {
    let key = worker.open(NOW, Encoding::Json);
    for number in 0..FILTERS {
        let filter = Filter::parse(&format!("t.{number}")).unwrap();
        worker.handle(
            NOW,
            key,
            Request::Subscribe { id: 1 + number as u64, filter, options: SubscribeOptions::default() },
        );
    }
    settle(worker);
    key
}

fn settle(worker: &mut Worker) {
    while worker.deliver(NOW) || worker.has_dirty() {
        while let Some(key) = worker.next_dirty() {
            let bytes = worker.session(key).map_or(0, |session| session.outbox().bytes());
            worker.written(key, bytes);
        }
    }
}

fn publish(broker: &Broker, topic: &str) {
    let publication = Publication::new(Payload::Json("1".into()));
    let draft = Draft { topic: Topic::parse(topic).unwrap(), publication, origin: None, deaf: 0 };
    let never = || -> Completion { unreachable!("there is room") };
    assert!(matches!(broker.publish(NOW, draft, never), Publishing::Done(Ok(_))));
}

#[test]
fn who_followed_the_same_goes_on_while_it_leaves_and_nothing_of_it_is_left() {
    let limits = Limits { subscriptions: FILTERS, requests_per_s: 10_000, ..Limits::default() };
    let broker = Arc::new(Broker::new(1, TopicRules::default(), limits, vec![Box::new(|| ())]));
    let mut worker = Worker::new(0, broker.clone());
    let (first, second, third) = (follow_all(&mut worker), follow_all(&mut worker), follow_all(&mut worker));
    worker.take_stats();
    worker.remove(first);
    worker.close_received(second, None);
    assert!(worker.has_work() && broker.stats().subscriptions == 3 * FILTERS);
    for number in 0..FILTERS {
        publish(&broker, &format!("t.{number}"));
        worker.deliver(NOW);
    }
    settle(&mut worker);
    assert_eq!(worker.take_stats().json.messages, FILTERS as u64, "the third alone gets them");
    assert_eq!(broker.stats().subscriptions, FILTERS);
    worker.remove(second);
    worker.remove(third);
    settle(&mut worker);
    assert!(broker.stats().subscriptions == 0 && !worker.has_work());
}
