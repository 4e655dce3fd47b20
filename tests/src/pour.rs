//! A publisher that does not let up while a test does something else.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::broker::Broker;
use crate::http::{Ask, read_answer};

impl Broker {
    /// Publishes to the topics in turn until it is told to stop, so that every seq is of a message; how many.
    pub async fn pour(&self, topics: &[&str], stop: &AtomicBool) -> u64 {
        let mut wire = self.wire().await;
        let ask =
            |topic: &&str| Ask::new("POST", &format!("/v1/topics/{topic}")).body("1").bytes("localhost");
        let asks: Vec<u8> = topics.iter().flat_map(ask).collect();
        let mut published = 0;
        while !stop.load(Ordering::Relaxed) {
            wire.write(&asks).await.expect("the broker reads");
            for topic in topics {
                let answer = read_answer(&mut wire).await.expect("the broker answers");
                assert_eq!(answer.status, 200, "{topic}: {}", answer.text());
                published += 1;
            }
        }
        published
    }
}
