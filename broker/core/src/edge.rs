//! Over what a session is connected.

use fanfare_protocol::Encoding;

/// How what is said to a session stands on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Frames in WebSocket messages, both ways.
    WebSocket(Encoding),
    /// A stream of server-sent events; its client says nothing.
    Events,
}

impl Edge {
    /// How frames are written.
    pub fn encoding(self) -> Encoding {
        match self {
            Edge::WebSocket(encoding) => encoding,
            Edge::Events => Encoding::Json,
        }
    }

    /// What is spoken, as operators see it.
    pub fn protocol(self) -> &'static str {
        match self {
            Edge::WebSocket(encoding) => encoding.subprotocol(),
            Edge::Events => "sse",
        }
    }
}

impl From<Encoding> for Edge {
    fn from(encoding: Encoding) -> Edge {
        Edge::WebSocket(encoding)
    }
}
