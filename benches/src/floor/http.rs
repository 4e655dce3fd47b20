//! The floor's HTTP: two ways to publish and the upgrade.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use bytes::{Bytes, BytesMut};
use fanfare_protocol::Encoding;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::socket::{self, Socket};
use super::state::{EPOCH, State};

/// One message of a batch.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Answers one request.
pub(super) async fn answer(
    state: Rc<RefCell<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path();
    let topic = path.strip_prefix("/v1/topics/").map(str::to_owned);
    match (request.method(), path, topic) {
        (&Method::GET, "/v1/ws", _) => upgrade(state, request),
        (&Method::POST, "/v1/publish", _) => publish_batch(state, request).await,
        (&Method::POST, _, Some(topic)) => publish(state, request, &topic).await,
        (_, path, _) => Ok(plain(StatusCode::NOT_FOUND, format!("the floor has no {path}\n"))),
    }
}

async fn publish(
    state: Rc<RefCell<State>>,
    request: Request<Incoming>,
    topic: &str,
) -> Result<Response<Full<Bytes>>> {
    let data = request.into_body().collect().await?.to_bytes();
    wait_until_drained(&state).await;
    let mut state = state.borrow_mut();
    let seq = state.publish(topic, &data);
    let heard = state.is_heard(topic);
    Ok(json(format!("{{\"topic\":\"{topic}\",\"position\":\"{EPOCH}:{seq}\",\"heard\":{heard}}}")))
}

/// Publishes a batch with one `write()` a subscriber and topic.
async fn publish_batch(
    state: Rc<RefCell<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let items: Vec<Item<'_>> = serde_json::from_slice(&body).context("reading a batch")?;
    wait_until_drained(&state).await;
    let mut state = state.borrow_mut();
    let mut frames_by_topic: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    let mut results = String::from("{\"results\":[");
    for (index, Item { topic, data }) in items.iter().enumerate() {
        let frames = frames_by_topic.entry(topic).or_default();
        let seq = state.push_message(frames, topic, data.get().as_bytes());
        let comma = if index == 0 { "" } else { "," };
        let heard = state.is_heard(topic);
        write!(results, "{comma}{{\"topic\":\"{topic}\",\"position\":\"{EPOCH}:{seq}\",\"heard\":{heard}}}")?;
    }
    for (topic, frames) in &frames_by_topic {
        state.write(topic, frames);
    }
    results.push_str("]}");
    Ok(json(results))
}

async fn wait_until_drained(state: &Rc<RefCell<State>>) {
    loop {
        let drained = state.borrow().drained.clone();
        let notified = drained.notified();
        if !state.borrow().is_behind() {
            return;
        }
        notified.await;
    }
}

fn upgrade(state: Rc<RefCell<State>>, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let offers = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|offers| offers.to_str().ok());
    let json = Encoding::Json.subprotocol();
    if !offers.is_some_and(|offers| offers.split(',').any(|offer| offer.trim() == json)) {
        return Ok(plain(StatusCode::BAD_REQUEST, format!("the floor speaks {json} only\n")));
    }
    let upgraded = hyper::upgrade::on(&mut request);
    let (response, _) = fastwebsockets::upgrade::upgrade(&mut request)?;
    spawn_local(async move {
        let parts = upgraded.await?.downcast::<TokioIo<TcpStream>>().map_err(|_| anyhow!("no TCP stream"))?;
        let socket = Rc::new(Socket::new(parts.io.into_inner()));
        socket::follow(state, socket, BytesMut::from(parts.read_buf)).await;
        anyhow::Ok(())
    });
    let (mut head, _) = response.into_parts();
    head.headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(json));
    Ok(Response::from_parts(head, Full::default()))
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::OK, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
