//! When a session comes back, when it stays away, and what it brings back.

use fanfare_client::Encoding;
use fanfare_client::session::{Output, Session, Status};
use serde_json::Value;

use super::dialogue::check;
use super::vectors::load;

#[test]
fn the_codes_decide_whether_it_comes_back() {
    for close in load("codes.json")["closes"].as_array().unwrap() {
        let code = u16::try_from(close["code"].as_u64().unwrap()).unwrap();
        let mut session = Session::new(Encoding::Json);
        assert_eq!(session.poll(), Some(Output::Connect));
        session.opened(0);
        session.closed(1, code, "why", 0.0);
        let comes_back = matches!(session.status(), Status::Waiting { .. });
        assert_eq!(Value::Bool(comes_back), close["comes_back"], "{code}");
        session.tick(1, 0.0);
        let connects =
            std::iter::from_fn(|| session.poll()).filter(|output| *output == Output::Connect).count();
        assert_eq!(connects, usize::from(comes_back), "{code}");
    }
}

#[test]
fn a_goodbye_says_how_long_to_wait_and_why() {
    check(
        r#"
        - open
        = connect
        < ["welcome",1,{"session":"1","resume":"r-7","heartbeat_ms":25000,"limits":{}}]
        < ["goodbye",1012,"the node restarts",{"reconnect_after_ms":1850}]
        - close 1012
        - wait 1849
        - wait 1
        = connect
        - subscribe a
        - open
        > ["connect",1,{"resume":"r-7"}]
        > ["subscribe",2,"a"]
        < ["goodbye",4003,"an operator ended the session"]
        - close 1006
        = a is closed: 4003 an operator ended the session
        - wait 100000
        "#,
    );
}

#[test]
fn silence_of_two_heartbeats_is_a_cut() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        < ["welcome",null,{"session":"1","heartbeat_ms":1000,"limits":{}}]
        - wait 1500
        - heard
        - wait 1999
        - wait 1
        = drop
        - wait 250
        = connect
        - open
        > ["subscribe",2,"a"]
        - wait 49999
        - wait 1
        = drop
        "#,
    );
}

#[test]
fn waits_grow_until_a_connection_was_steady() {
    check(
        r#"
        - close 1006
        = connect
        - wait 250
        = connect
        - close 1006
        - wait 499
        - wait 1
        = connect
        - open
        - wait 29999
        - close 1006
        - wait 999
        - wait 1
        = connect
        - open
        - wait 30000
        - close 1006
        - wait 250
        = connect
        "#,
    );
}

#[test]
fn what_cannot_be_read_ends_it_for_it_would_come_again() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        < ["ok",1,{"cursor":"0.k:9"}]
        = a is live at 0.k:9
        < ["ping"]
        = close 1002
        = a is closed: 1002 the broker's frame is unreadable: cursor is missing
        "#,
    );
}

#[test]
fn closed_from_this_side_it_stays_away() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        < ["welcome",null,{"session":"1","heartbeat_ms":1000,"limits":{}}]
        - publish b 1
        > ["publish",2,"b",1]
        - close
        = close 1000
        = a is closed: 1000 closed by this side
        = 2 failed: the client is closed: closed by this side (1000)
        - publish b 1
        = 3 failed: the client is closed: closed by this side (1000)
        - close 1006
        - wait 100000
        "#,
    );
}
