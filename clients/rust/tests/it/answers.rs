//! Subscriptions that are refused, ended, left and held, and publishes.

use super::dialogue::check;

#[test]
fn what_helps_is_tried_again_and_what_does_not_ends() {
    check(
        r#"
        - open
        = connect
        - subscribe a after=0.k:2
        > ["subscribe",1,"a",{"after":"0.k:2"}]
        - subscribe b
        > ["subscribe",2,"b"]
        < ["error",1,"unavailable","the backplane is away",{"retry_after_ms":2000}]
        < ["error",2,"forbidden","not for you"]
        = b ends: forbidden not for you
        - wait 1999
        - wait 1
        > ["subscribe",3,"a",{"after":"0.k:2"}]
        < ["ok",3,{"cursor":"0.k:2","resumed":true}]
        = a stands at 0.k:2
        < ["live","a","0.k:4"]
        = a is live at 0.k:4
        < ["unsubscribed","a","unavailable","the backplane is away",{"retry_after_ms":500}]
        < ["message","a","0.k:5",1]
        - wait 500
        > ["subscribe",4,"a",{"after":"0.k:4"}]
        < ["ok",4,{"cursor":"0.k:4","resumed":true}]
        = a stands at 0.k:4
        < ["unsubscribed","a","forbidden","no more"]
        = a ends: forbidden no more
        - close 1006
        - wait 250
        = connect
        - open
        "#,
    );
}

#[test]
fn what_is_left_is_not_heard_of_again_though_frames_are_under_way() {
    check(
        r#"
        - open
        = connect
        - subscribe a last=2
        > ["subscribe",1,"a",{"last":2}]
        < ["ok",1,{"cursor":"0.k:9"}]
        = a stands at 0.k:9
        - unsubscribe a
        > ["unsubscribe",2,"a"]
        < ["replay","a",["message","a","0.k:8",1]]
        - subscribe a
        > ["subscribe",3,"a"]
        < ["replay","a",["message","a","0.k:9",1]]
        < ["live","a","0.k:9"]
        < ["unsubscribed","a","forbidden","the old one"]
        < ["ok",2,{}]
        < ["message","a","0.k:10",1]
        < ["ok",3,{"cursor":"0.k:10"}]
        = a is live at 0.k:10
        < ["message","a","0.k:11",1]
        = a gets a 0.k:11
        "#,
    );
}

#[test]
fn what_is_held_goes_on_from_its_cursor() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        < ["ok",1,{"cursor":"0.k:9"}]
        = a is live at 0.k:9
        < ["message","a","0.k:10",1]
        = a gets a 0.k:10
        - hold a
        > ["unsubscribe",2,"a"]
        < ["message","a","0.k:11",1]
        < ["ping","0.k:11"]
        > ["pong"]
        < ["ok",2,{}]
        - release a
        > ["subscribe",3,"a",{"after":"0.k:10"}]
        < ["ok",3,{"cursor":"0.k:10","resumed":true}]
        = a stands at 0.k:10
        - hold a
        > ["unsubscribe",4,"a"]
        - close 1006
        - wait 250
        = connect
        - open
        - release a
        > ["subscribe",5,"a",{"after":"0.k:10"}]
        "#,
    );
}

#[test]
fn publishes_wait_for_the_welcome_and_are_answered() {
    check(
        r#"
        - open
        = connect
        - publish a 1
        - publish a 2
        < ["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{"frame_bytes":40}}]
        > ["publish",1,"a",1]
        > ["publish",2,"a",2]
        < ["ok",2,{"position":"0.k:1","heard":true}]
        = 2 published 0.k:1
        < ["error",1,"overloaded","no room",{"retry_after_ms":1000}]
        = 1 failed: the broker refused it: no room (overloaded)
        - publish a "0123456789012345678901234567890123456789"
        = 3 failed: the broker refused it: publish has 60 bytes, the limit is 40 (too_large)
        "#,
    );
}

#[test]
fn after_a_cut_only_what_has_a_key_is_published_again() {
    check(
        r#"
        - open
        = connect
        < ["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]
        - publish a 1
        > ["publish",1,"a",1]
        - publish a 2 key
        > ["publish",2,"a",2,{"idempotency_key":"key"}]
        - close 1006
        = 1 failed: it may have been published or not: the connection broke before the answer
        - publish a 3
        - wait 250
        = connect
        - open
        < ["welcome",null,{"session":"2","heartbeat_ms":25000,"limits":{}}]
        > ["publish",2,"a",2,{"idempotency_key":"key"}]
        > ["publish",3,"a",3]
        < ["ok",2,{"position":"0.k:2","heard":false,"repeated":true}]
        = 2 published 0.k:2
        - close 1006
        = 3 failed: it may have been published or not: the connection broke before the answer
        "#,
    );
}

#[test]
fn a_key_that_the_broker_may_have_forgotten_is_not_relied_on() {
    check(
        r#"
        - open
        = connect
        < ["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]
        - publish a 2 key
        > ["publish",1,"a",2,{"idempotency_key":"key"}]
        - close 1006
        - wait 90000
        = connect
        - open
        < ["welcome",null,{"session":"2","heartbeat_ms":25000,"limits":{}}]
        = 1 failed: it may have been published or not: the connection broke before the answer
        "#,
    );
}
