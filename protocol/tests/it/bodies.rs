//! Bodies of HTTP requests.

use fanfare_protocol::{Payload, Publication};
use serde_json::Value;

use super::said;
use super::vectors::{BODIES, from_hex, load_list, name, string};

#[test]
fn a_body_is_of_the_kind_that_its_content_type_says() {
    for vector in load_list(BODIES) {
        let body = from_hex(string(&vector["body"]));
        match Publication::from_body(vector["content_type"].as_str(), body.into()) {
            Ok(publication) => {
                let read = said::publication(&publication).remove("data");
                assert_eq!(read.as_ref(), vector.get("is"), "{}", name(&vector));
            }
            Err(error) => {
                let expected = vector.get("error").unwrap_or(&Value::Null);
                assert_eq!(said::refusal(&error, expected), *expected, "{}", name(&vector));
                assert_eq!(error.id, None, "a body has no id");
            }
        }
    }
}

#[test]
fn a_body_keeps_its_bytes() {
    let publication = Publication::from_body(Some("application/json"), " {\"a\" : 1.0} \n".into()).unwrap();
    assert_eq!(publication.payload, Payload::Json("{\"a\" : 1.0}".into()));
}
