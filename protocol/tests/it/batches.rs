//! Batches: many publications in one body.

use fanfare_protocol::decode_batch;
use serde_json::{Value, json};

use super::said;
use super::vectors::{BATCHES, load_list, name, string};

#[test]
fn each_item_of_a_batch_has_its_own_success_or_error() {
    for vector in load_list(BATCHES) {
        let items_max = vector["items_max"].as_u64().unwrap_or(1000);
        let batch = decode_batch(string(&vector["body"]).as_bytes(), usize::try_from(items_max).unwrap());
        let read = match batch {
            Ok(items) => {
                let expected = vector["items"].as_array().cloned().unwrap_or_default();
                let pairs = items.iter().zip(expected.iter().chain(std::iter::repeat(&Value::Null)));
                json!({"items": pairs.map(|(item, expected)| said_item(item, expected)).collect::<Vec<_>>()})
            }
            Err(error) => json!({"error": said::refusal(&error, &vector["error"])}),
        };
        for key in ["items", "error"] {
            assert_eq!(read.get(key), vector.get(key), "{}", name(&vector));
        }
    }
}

fn said_item(item: &fanfare_protocol::BatchItem, expected: &Value) -> Value {
    match item {
        Ok((topic, publication)) => {
            let mut said = said::publication(publication);
            said.insert("topic".to_owned(), json!(topic.as_str()));
            json!({"is": said})
        }
        Err(error) => json!({"error": said::refusal(error, &expected["error"])}),
    }
}
