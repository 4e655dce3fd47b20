//! After which close codes a session comes back.

use fanfare_client::Encoding;
use fanfare_client::session::{Output, Session, Status};
use serde_json::Value;

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
