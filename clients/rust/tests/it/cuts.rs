//! A cut between any two frames: what is asked for then is what the last frame before it says.

use fanfare_client::session::{Output, Session};
use fanfare_client::{Encoding, Filter, SubscribeOptions};

/// A broker's frames, and after each of them what two overlapping filters ask for if the connection breaks there.
const STORY: &[(&str, &str, &str)] = &[
    (
        r#"["welcome",null,{"session":"1","heartbeat_ms":25000,"limits":{}}]"#,
        r#"{"after":"0.k:3"}"#,
        r#"{"last":2}"#,
    ),
    (r#"["ok",1,{"cursor":"0.k:3","resumed":false}]"#, r#"{"after":"0.k:3"}"#, r#"{"last":2}"#),
    (
        r#"["replay","a.>",["gap","a.c","0.k:3","0.k:5",{"count":1}]]"#,
        r#"{"after":"0.k:3"}"#,
        r#"{"last":2}"#,
    ),
    (r#"["ok",2,{"cursor":"0.k:9"}]"#, r#"{"after":"0.k:3"}"#, r#"{"after":"0.k:9","last":2}"#),
    (
        r#"["replay","a.>",["message","a.b","0.k:6",1]]"#,
        r#"{"after":"0.k:6"}"#,
        r#"{"after":"0.k:9","last":2}"#,
    ),
    (r#"["replay","a.b",["message","a.b","0.k:6",1]]"#, r#"{"after":"0.k:6"}"#, r#"{"after":"0.k:6"}"#),
    (r#"["replay","a.b",["message","a.b","0.k:9",1]]"#, r#"{"after":"0.k:6"}"#, r#"{"after":"0.k:9"}"#),
    (r#"["live","a.b","0.k:9"]"#, r#"{"after":"0.k:6"}"#, r#"{"after":"0.k:9"}"#),
    (r#"["message","a.b","0.k:10",1]"#, r#"{"after":"0.k:6"}"#, r#"{"after":"0.k:10"}"#),
    (r#"["ping","0.k:11"]"#, r#"{"after":"0.k:6"}"#, r#"{"after":"0.k:11"}"#),
    (r#"["replay","a.>",["message","a.b","0.k:9",1]]"#, r#"{"after":"0.k:9"}"#, r#"{"after":"0.k:11"}"#),
    (r#"["replay","a.>",["gap",null,"0.k:9","0.m:4"]]"#, r#"{"after":"0.m:4"}"#, r#"{"after":"0.k:11"}"#),
    (r#"["live","a.>","0.m:5"]"#, r#"{"after":"0.m:5"}"#, r#"{"after":"0.k:11"}"#),
    (r#"["gap",null,"0.k:11","0.m:5"]"#, r#"{"after":"0.m:5"}"#, r#"{"after":"0.m:5"}"#),
    (r#"["message","a.c","0.m:6",1]"#, r#"{"after":"0.m:6"}"#, r#"{"after":"0.m:5"}"#),
    (r#"["gap","a.b","0.m:5","0.m:7"]"#, r#"{"after":"0.m:6"}"#, r#"{"after":"0.m:5"}"#),
    (r#"["message","a.b","0.m:8",1]"#, r#"{"after":"0.m:8"}"#, r#"{"after":"0.m:8"}"#),
    (r#"["ping","0.m:9"]"#, r#"{"after":"0.m:9"}"#, r#"{"after":"0.m:9"}"#),
];

fn sent(session: &mut Session) -> Vec<String> {
    let outputs = std::iter::from_fn(|| session.poll());
    let sent = outputs.filter_map(|output| match output {
        Output::Send(frame) => Some(String::from_utf8(frame).unwrap()),
        Output::Connect
        | Output::Event { .. }
        | Output::Moved { .. }
        | Output::Published { .. }
        | Output::Close(_) => None,
    });
    sent.collect()
}

#[test]
fn after_a_cut_at_any_place_each_filter_asks_for_exactly_what_it_misses() {
    for end in 0..=STORY.len() {
        let mut session = Session::new(Encoding::Json);
        session.opened(0);
        let follow = |name, after: Option<&str>, last| {
            let after = after.map(|cursor| cursor.parse().unwrap());
            (Filter::parse(name).unwrap(), SubscribeOptions { after, last, ..SubscribeOptions::default() })
        };
        for (filter, options) in [follow("a.>", Some("0.k:3"), None), follow("a.b", None, Some(2))] {
            assert!(session.subscribe(filter, options));
        }
        let (mut first, mut second) = (r#"{"after":"0.k:3"}"#, r#"{"last":2}"#);
        for (frame, first_asks, second_asks) in &STORY[..end] {
            session.receive(0, frame.as_bytes());
            (first, second) = (first_asks, second_asks);
        }
        sent(&mut session);
        session.closed(1, 1006, "cut", 0.0);
        session.tick(1, 0.0);
        session.opened(1);
        let asked =
            [format!("[\"subscribe\",3,\"a.>\",{first}]"), format!("[\"subscribe\",4,\"a.b\",{second}]")];
        assert_eq!(sent(&mut session), asked, "after {end} frames");
    }
}
