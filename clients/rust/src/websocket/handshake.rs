//! The handshake of RFC 6455, section 4, from the client's side.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fastwebsockets::handshake::generate_key;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use hyper::header::{SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use sha1::{Digest as _, Sha1};
use tokio::net::TcpStream;

use super::Dial;
use crate::answer;
use crate::outcome::ConnectError;

/// What a server appends to the key (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Asks for the upgrade and checks that it is the one that was asked for.
pub(super) async fn upgrade(dial: &Dial, stream: TcpStream) -> Result<Upgraded, ConnectError> {
    let broken = |error: hyper::Error| dial.endpoint.unreachable(std::io::Error::other(error));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends with the upgrade; how it fails, the request tells.
    tokio::spawn(connection.with_upgrades());
    let key = generate_key();
    let mut response = sender.send_request(request(dial, &key)?).await.map_err(broken)?;
    check(dial, &key, &mut response).await?;
    hyper::upgrade::on(&mut response).await.map_err(broken)
}

fn request(dial: &Dial, key: &str) -> Result<Request<Empty<Bytes>>, ConnectError> {
    let mut request = Request::get(dial.endpoint.path("/v1/ws"))
        .header(HOST, &dial.endpoint.authority)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, key)
        .header(SEC_WEBSOCKET_PROTOCOL, dial.encoding.subprotocol());
    if let Some(token) = &dial.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let url = || dial.endpoint.authority.clone();
    request.body(Empty::new()).map_err(|_| ConnectError::BadUrl {
        url: url(),
        why: "or the token has characters that no header may have",
    })
}

async fn check(dial: &Dial, key: &str, response: &mut Response<Incoming>) -> Result<(), ConnectError> {
    let address = dial.endpoint.authority.clone();
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let body = answer::read_body(response.body_mut()).await.unwrap_or_default();
        let detail = answer::problem_detail(status, &body);
        return Err(ConnectError::Refused { address, status: status.as_u16(), detail });
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let not_a_broker =
        |detail: &str| ConnectError::NotABroker { address: address.clone(), detail: detail.to_owned() };
    if header(SEC_WEBSOCKET_ACCEPT) != accept(key) {
        return Err(not_a_broker("its answer to the handshake has the wrong Sec-WebSocket-Accept"));
    }
    if header(SEC_WEBSOCKET_PROTOCOL) != dial.encoding.subprotocol() {
        return Err(not_a_broker("it did not agree on the subprotocol"));
    }
    Ok(())
}

fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_standards_example_is_accepted_as_there() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
