//! How many publishes may wait for their answers.

use fanfare_client::session::Session;
use fanfare_client::{Encoding, Topic};

#[test]
fn sixty_four_publishes_wait_for_their_answers_and_then_there_is_no_room() {
    let mut session = Session::new(Encoding::Json);
    session.opened(0);
    session.receive(0, br#"["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]"#);
    let topic = Topic::parse("a").unwrap();
    for _ in 0..64 {
        assert!(session.has_room_to_publish());
        session.publish(0, topic.clone(), fanfare_client::text("x"));
    }
    assert!(!session.has_room_to_publish());
    session.receive(1, br#"["ok",7,{"position":"0.k:1","heard":false}]"#);
    assert!(session.has_room_to_publish());
}
