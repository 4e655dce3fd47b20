//! The description of the interface, held against what the broker does.

use fanfare_protocol::Encoding;
use fanfare_tests::{Answer, Ask, Broker, hex};
use serde_json::{Value, json};

#[tokio::test]
async fn every_call_is_answered_as_it_is_described() {
    let broker = Broker::start().await;
    let _follower = broker.follow("a.*").await;
    broker.publish("a.b", json!({"id": 1})).await;
    broker.post("/v1/topics/a.b", "image/png", hex("ff00")).await.json();
    let description = broker.get("/openapi.json").await.json();
    assert_eq!(description["openapi"], "3.1.0");
    let mut calls = 0;
    for (path, methods) in description["paths"].as_object().unwrap() {
        let client = broker.connect(Encoding::Json).await;
        let session = client.welcome["session"].as_str().unwrap();
        let target = path.replace("{topic}", "a.b").replace("{id}", session);
        let target = target.replace("/v1/messages", "/v1/messages?topic=a.b&topic=none");
        // What is read comes before what is deleted.
        for method in ["get", "post", "delete"] {
            let Some(call) = methods.get(method) else { continue };
            let body = json!([{"topic": "a.b", "data": 1}, {"topic": "", "data": 1}]).to_string();
            let ask = Ask::new(&method.to_uppercase(), &target).header("content-type", "application/json");
            let answer = broker.ask(&if method == "post" { ask.body(body) } else { ask }).await;
            assert_described(&description, call, &answer);
            calls += 1;
        }
        let known = |method: &String| ["get", "post", "delete", "parameters"].contains(&method.as_str());
        assert!(methods.as_object().unwrap().keys().all(known), "{path}");
    }
    assert!(calls >= 15, "{calls} calls are described");
}

#[tokio::test]
async fn every_refusal_is_described() {
    let broker = Broker::start().await;
    let description = broker.get("/openapi.json").await.json();
    let foreign = Ask::new("GET", "/v1/topics").header("origin", "http://evil.example");
    for (method, path, answer) in [
        ("post", "/v1/topics/{topic}", broker.post("/v1/topics/a..b", "text/plain", "x").await),
        ("post", "/v1/topics/{topic}", broker.post("/v1/topics/a", "text/plain", "x".repeat(70_000)).await),
        ("post", "/v1/publish", broker.post("/v1/publish", "application/json", "x").await),
        ("get", "/v1/topics/{topic}/messages", broker.get("/v1/topics/a/messages?after=x").await),
        ("get", "/v1/topics", broker.get("/v1/topics?filter=..").await),
        ("get", "/v1/topics", broker.ask(&foreign).await),
        ("get", "/v1/ws", broker.get("/v1/ws").await),
        ("get", "/v1/sse", broker.get("/v1/sse?topic=a&on_slow=x").await),
        ("get", "/v1/messages", broker.get("/v1/messages?topic=a&after=x").await),
        ("delete", "/v1/sessions/{id}", broker.ask(&Ask::new("DELETE", "/v1/sessions/none")).await),
    ] {
        assert!(answer.status >= 400, "{method} {path}");
        assert_described(&description, &description["paths"][path][method], &answer);
    }
}

/// Checks that a call's answer has a status, a type and a shape that are described.
fn assert_described(description: &Value, call: &Value, answer: &Answer) {
    let name = call["operationId"].as_str().expect("each call has a name");
    let described = resolved(description, &call["responses"][answer.status.to_string()]);
    assert!(described.is_object(), "{name} is answered {}: {}", answer.status, answer.text());
    let content_type = answer.header("content-type").unwrap_or_default();
    let schema = &described["content"][content_type]["schema"];
    assert!(schema.is_object(), "{name} is answered {} in {content_type:?}", answer.status);
    if content_type.ends_with("json") {
        let body = serde_json::from_slice(&answer.body).expect("the body is JSON");
        if let Err(error) = check(description, schema, &body) {
            panic!("{name}: {error} in {body}");
        }
    }
}

fn resolved<'a>(description: &'a Value, part: &'a Value) -> &'a Value {
    match part["$ref"].as_str() {
        Some(reference) => {
            let part = description.pointer(reference.trim_start_matches('#'));
            part.unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => part,
    }
}

/// Checks a value against as much of JSON Schema as the description uses; a key that is not described is an error.
fn check(description: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let schema = resolved(description, schema);
    let (keys, items) = (value.as_object(), value.as_array());
    let is_wrong = |what: &str| Err(format!("{value} is {what} {schema}"));
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| check(description, choice, value).is_ok()).count();
        return if fitting == 1 { Ok(()) } else { is_wrong("not one of") };
    }
    let names = [schema["type"].as_str().into_iter().collect(), texts(&schema["type"])].concat();
    let is = |name: &&str| match *name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("type {other:?} is not known here"),
    };
    let is_fixed = schema.get("const").is_none_or(|fixed| fixed == value);
    let is_listed = schema["enum"].as_array().is_none_or(|listed| listed.contains(value));
    if (!names.is_empty() && !names.iter().any(is)) || !is_fixed || !is_listed {
        return is_wrong("not of");
    }
    if let Some(missing) = texts(&schema["required"]).iter().find(|key| value.get(key).is_none()) {
        return is_wrong(&format!("without {missing:?} of"));
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (key, value) in keys.into_iter().flatten() {
            let Some(property) = properties.get(key) else {
                return is_wrong(&format!("with {key:?} not of"));
            };
            check(description, property, value)?;
        }
    }
    let places = schema["prefixItems"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, item) in items.into_iter().flatten().enumerate() {
        if let Some(schema) = places.get(index).or_else(|| schema.get("items")) {
            check(description, schema, item)?;
        }
    }
    Ok(())
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
