//! Which frame belongs to which filter, and which moves whose cursor.

use super::dialogue::check;

#[test]
fn a_filter_is_live_at_once_where_nothing_is_asked_of_the_past() {
    check(
        r#"
        - begin
        = connect
        - subscribe a.>
        - open
        > ["subscribe",1,"a.>"]
        < ["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]
        < ["ok",1,{"cursor":"0.k:5"}]
        = a.> is live at 0.k:5
        < ["message","a.b","0.k:6",1,{"time":1}]
        = a.> gets a.b 0.k:6
        < ["message","b","0.k:7",1,{"time":1}]
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",2,"a.>",{"after":"0.k:6"}]
        "#,
    );
}

#[test]
fn a_replay_belongs_to_its_filter_alone_and_live_frames_to_every_live_one() {
    check(
        r#"
        - open
        = connect
        - subscribe a.*
        > ["subscribe",1,"a.*"]
        < ["ok",1,{"cursor":"0.k:5"}]
        = a.* is live at 0.k:5
        - subscribe a.b after=0.k:2
        > ["subscribe",2,"a.b",{"after":"0.k:2"}]
        < ["ok",2,{"cursor":"0.k:2","resumed":true}]
        = a.b stands at 0.k:2
        < ["message","a.b","0.k:6",1]
        = a.* gets a.b 0.k:6
        < ["replay","a.b",["message","a.b","0.k:4",1]]
        = a.b gets a.b 0.k:4
        < ["replay","a.b",["message","a.b","0.k:6",1]]
        = a.b gets a.b 0.k:6
        < ["live","a.b","0.k:6"]
        = a.b is live at 0.k:6
        < ["message","a.b","0.k:7",1]
        = a.* gets a.b 0.k:7
        = a.b gets a.b 0.k:7
        < ["message","a.c","0.k:8",1]
        = a.* gets a.c 0.k:8
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",3,"a.*",{"after":"0.k:8"}]
        > ["subscribe",4,"a.b",{"after":"0.k:7"}]
        "#,
    );
}

#[test]
fn a_gap_of_a_topic_moves_no_cursor_and_one_of_none_sets_it_even_backwards() {
    check(
        r#"
        - open
        = connect
        - subscribe a.*
        > ["subscribe",1,"a.*"]
        - subscribe b
        > ["subscribe",2,"b"]
        < ["ok",1,{"cursor":"0.k:5"}]
        = a.* is live at 0.k:5
        < ["ok",2,{"cursor":"0.k:5"}]
        = b is live at 0.k:5
        < ["gap","a.b","0.k:5","0.k:7",{"count":2}]
        = a.* misses a.b after 0.k:5 up to 0.k:7
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",3,"a.*",{"after":"0.k:5"}]
        > ["subscribe",4,"b",{"after":"0.k:5"}]
        < ["ok",3,{"cursor":"0.k:5","resumed":false}]
        = a.* stands at 0.k:5
        < ["ok",4,{"cursor":"0.k:5","resumed":true}]
        = b stands at 0.k:5
        < ["live","b","0.k:9"]
        = b is live at 0.k:9
        < ["replay","a.*",["gap",null,"0.k:5","0.m:3"]]
        = a.* may miss after 0.k:5 up to 0.m:3
        < ["live","a.*","0.m:4"]
        = a.* is live at 0.m:4
        < ["gap",null,"0.k:9","0.m:2"]
        = a.* may miss after 0.k:9 up to 0.m:2
        = b may miss after 0.k:9 up to 0.m:2
        - close 1006
        - wait 500
        = connect
        - open
        > ["subscribe",5,"a.*",{"after":"0.m:2"}]
        > ["subscribe",6,"b",{"after":"0.m:2"}]
        "#,
    );
}

#[test]
fn a_ping_is_answered_and_moves_what_is_live() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        - subscribe b after=0.k:2
        > ["subscribe",2,"b",{"after":"0.k:2"}]
        < ["ok",1,{"cursor":"0.k:5"}]
        = a is live at 0.k:5
        < ["ok",2,{"cursor":"0.k:2","resumed":true}]
        = b stands at 0.k:2
        < ["ping","0.k:9"]
        > ["pong"]
        = a stands at 0.k:9
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",3,"a",{"after":"0.k:9"}]
        > ["subscribe",4,"b",{"after":"0.k:2"}]
        "#,
    );
}

#[test]
fn a_message_replaces_only_its_partitions_part() {
    check(
        r#"
        - open
        = connect
        - subscribe >
        > ["subscribe",1,">"]
        < ["ok",1,{"cursor":"0.k:5,1.m:8"}]
        = > is live at 0.k:5,1.m:8
        < ["message","a","1.m:9",1]
        = > gets a 1.m:9
        < ["gap",null,"0.k:5","0.n:0"]
        = > may miss after 0.k:5 up to 0.n:0
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",2,">",{"after":"0.n:0,1.m:9"}]
        "#,
    );
}

#[test]
fn the_newest_messages_are_asked_for_again_until_one_has_come() {
    check(
        r#"
        - open
        = connect
        - subscribe a last=3 echo=false
        > ["subscribe",1,"a",{"last":3,"echo":false}]
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",2,"a",{"last":3,"echo":false}]
        < ["ok",2,{"cursor":"0.k:9"}]
        = a stands at 0.k:9
        - close 1006
        - wait 500
        = connect
        - open
        > ["subscribe",3,"a",{"after":"0.k:9","last":3,"echo":false}]
        < ["ok",3,{"cursor":"0.k:9","resumed":true}]
        = a stands at 0.k:9
        < ["replay","a",["message","a","0.k:7",1]]
        = a gets a 0.k:7
        - close 1006
        - wait 1000
        = connect
        - open
        > ["subscribe",4,"a",{"after":"0.k:7","echo":false}]
        "#,
    );
}

#[test]
fn there_may_be_nothing_to_replay() {
    check(
        r#"
        - open
        = connect
        - subscribe a last=3
        > ["subscribe",1,"a",{"last":3}]
        < ["ok",1,{"cursor":"0.k:9"}]
        = a stands at 0.k:9
        < ["live","a","0.k:9"]
        = a is live at 0.k:9
        - close 1006
        - wait 250
        = connect
        - open
        > ["subscribe",2,"a",{"after":"0.k:9"}]
        "#,
    );
}

#[test]
fn frames_of_a_later_version_are_skipped() {
    check(
        r#"
        - open
        = connect
        - subscribe a
        > ["subscribe",1,"a"]
        < ["later",1,2]
        < ["ok",1,{"cursor":"0.k:9","later":1}]
        = a is live at 0.k:9
        < ["replay","a",["later",1]]
        < ["message","a","0.k:10",1,{"later":{}},"later"]
        = a gets a 0.k:10
        "#,
    );
}
