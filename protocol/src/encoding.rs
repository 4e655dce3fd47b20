//! The two encodings and the subprotocol names that choose them.

/// How frames are written; one for each subprotocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// `fanfare.v1.json`, in text frames.
    Json,
    /// `fanfare.v1.msgpack`, in binary frames.
    MessagePack,
}

impl Encoding {
    /// Both, in the order of their names.
    pub const ALL: [Encoding; 2] = [Encoding::Json, Encoding::MessagePack];

    /// The name in `Sec-WebSocket-Protocol`.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Encoding::Json => "fanfare.v1.json",
            Encoding::MessagePack => "fanfare.v1.msgpack",
        }
    }

    /// The first of the client's offers that is known.
    pub fn choose<'a>(offers: impl IntoIterator<Item = &'a str>) -> Option<Encoding> {
        offers.into_iter().find_map(|offer| Self::ALL.into_iter().find(|known| known.subprotocol() == offer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_first_known_offer_wins() {
        let choose = |offers: &[&str]| Encoding::choose(offers.iter().copied());
        assert_eq!(choose(&["fanfare.v1.msgpack", "fanfare.v1.json"]), Some(Encoding::MessagePack));
        assert_eq!(choose(&["fanfare.v2.json", "fanfare.v1.json"]), Some(Encoding::Json));
        assert_eq!(choose(&["fanfare.bearer.abc"]), None);
        assert_eq!(choose(&[]), None);
    }
}
