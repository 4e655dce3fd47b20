//! The stable words of errors and the codes of closes.

/// Why a request failed; its word never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// A frame, body or query that can't be read.
    BadFrame,
    /// An operation that the protocol does not have.
    UnknownOp,
    /// Specified, but not served by this broker.
    Unsupported,
    /// A text that is no topic.
    BadTopic,
    /// A text that is no filter.
    BadFilter,
    /// A text that is no cursor, or one that lacks a partition or names one that does not exist.
    BadCursor,
    /// A payload that is not what it is declared to be.
    BadData,
    /// A field of a request that is missing, of the wrong type or out of its range.
    BadRequest,
    /// A second `connect`.
    AlreadyConnected,
    /// A filter that this session already follows.
    AlreadySubscribed,
    /// A filter that this session does not follow.
    NotSubscribed,
    /// No identity, or one that does not hold.
    Unauthorized,
    /// An identity that may not do this.
    Forbidden,
    /// Nothing is there.
    NotFound,
    /// A path that is there, with another method.
    MethodNotAllowed,
    /// A body, frame or field over its limit.
    TooLarge,
    /// A number over its limit.
    Limit,
    /// The same idempotency key with another message.
    IdempotencyMismatch,
    /// Too many requests a second.
    RateLimited,
    /// No room within the time that a publish may wait.
    Overloaded,
    /// What keeps messages has no memory left.
    StorageFull,
    /// What is needed is away.
    Unavailable,
    /// The broker's own mistake.
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of PROTOCOL.md's table.
    pub const ALL: [ErrorCode; 23] = [
        ErrorCode::BadFrame,
        ErrorCode::UnknownOp,
        ErrorCode::Unsupported,
        ErrorCode::BadTopic,
        ErrorCode::BadFilter,
        ErrorCode::BadCursor,
        ErrorCode::BadData,
        ErrorCode::BadRequest,
        ErrorCode::AlreadyConnected,
        ErrorCode::AlreadySubscribed,
        ErrorCode::NotSubscribed,
        ErrorCode::Unauthorized,
        ErrorCode::Forbidden,
        ErrorCode::NotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::TooLarge,
        ErrorCode::Limit,
        ErrorCode::IdempotencyMismatch,
        ErrorCode::RateLimited,
        ErrorCode::Overloaded,
        ErrorCode::StorageFull,
        ErrorCode::Unavailable,
        ErrorCode::Internal,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::BadFrame => "bad_frame",
            ErrorCode::UnknownOp => "unknown_op",
            ErrorCode::Unsupported => "unsupported",
            ErrorCode::BadTopic => "bad_topic",
            ErrorCode::BadFilter => "bad_filter",
            ErrorCode::BadCursor => "bad_cursor",
            ErrorCode::BadData => "bad_data",
            ErrorCode::BadRequest => "bad_request",
            ErrorCode::AlreadyConnected => "already_connected",
            ErrorCode::AlreadySubscribed => "already_subscribed",
            ErrorCode::NotSubscribed => "not_subscribed",
            ErrorCode::Unauthorized => "unauthorized",
            ErrorCode::Forbidden => "forbidden",
            ErrorCode::NotFound => "not_found",
            ErrorCode::MethodNotAllowed => "method_not_allowed",
            ErrorCode::TooLarge => "too_large",
            ErrorCode::Limit => "limit",
            ErrorCode::IdempotencyMismatch => "idempotency_mismatch",
            ErrorCode::RateLimited => "rate_limited",
            ErrorCode::Overloaded => "overloaded",
            ErrorCode::StorageFull => "storage_full",
            ErrorCode::Unavailable => "unavailable",
            ErrorCode::Internal => "internal",
        }
    }

    /// The code of a word.
    pub fn parse(word: &str) -> Option<ErrorCode> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// The HTTP status that carries it (RFC 9110).
    pub fn http_status(self) -> u16 {
        match self {
            ErrorCode::BadFrame
            | ErrorCode::UnknownOp
            | ErrorCode::BadTopic
            | ErrorCode::BadFilter
            | ErrorCode::BadCursor
            | ErrorCode::BadData
            | ErrorCode::BadRequest => 400,
            ErrorCode::Unauthorized => 401,
            ErrorCode::Forbidden => 403,
            ErrorCode::NotFound | ErrorCode::NotSubscribed => 404,
            ErrorCode::MethodNotAllowed => 405,
            ErrorCode::AlreadyConnected | ErrorCode::AlreadySubscribed => 409,
            ErrorCode::TooLarge => 413,
            ErrorCode::IdempotencyMismatch => 422,
            ErrorCode::Limit | ErrorCode::RateLimited => 429,
            ErrorCode::Internal => 500,
            ErrorCode::Unsupported => 501,
            ErrorCode::Overloaded | ErrorCode::StorageFull | ErrorCode::Unavailable => 503,
        }
    }

    /// True if trying the same again later may succeed; then an error says after how long.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            ErrorCode::RateLimited | ErrorCode::Overloaded | ErrorCode::StorageFull | ErrorCode::Unavailable
        )
    }
}

/// Why a WebSocket is closed (RFC 6455, section 7.4, and 4000–4999 of this protocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The client is done.
    Normal = 1000,
    /// The node is going away; come back.
    GoingAway = 1001,
    /// The WebSocket protocol was broken.
    ProtocolError = 1002,
    /// A text frame where binary was agreed on, or the reverse.
    WrongFrameType = 1003,
    /// Text that is not UTF-8.
    NotUtf8 = 1007,
    /// Ten unreadable frames, or another rule broken for good.
    PolicyViolation = 1008,
    /// A frame over its limit.
    TooLarge = 1009,
    /// The broker's own mistake; come back.
    Internal = 1011,
    /// The node restarts; come back.
    Restart = 1012,
    /// Too much to do; come back later.
    TryAgainLater = 1013,
    /// What the broker had to say did not fit in the session's outbox: slow. Come back and resume.
    Slow = 4500,
    /// Nothing was heard for two heartbeats. Come back and resume.
    Unresponsive = 4501,
    /// No `connect` came in time.
    ConnectTimeout = 4001,
    /// A frame was begun and not finished in time.
    FrameTimeout = 4002,
    /// An operator ended the session.
    Disconnected = 4003,
}

impl CloseCode {
    /// Every code, rising.
    pub const ALL: [CloseCode; 15] = [
        CloseCode::Normal,
        CloseCode::GoingAway,
        CloseCode::ProtocolError,
        CloseCode::WrongFrameType,
        CloseCode::NotUtf8,
        CloseCode::PolicyViolation,
        CloseCode::TooLarge,
        CloseCode::Internal,
        CloseCode::Restart,
        CloseCode::TryAgainLater,
        CloseCode::ConnectTimeout,
        CloseCode::FrameTimeout,
        CloseCode::Disconnected,
        CloseCode::Slow,
        CloseCode::Unresponsive,
    ];

    /// The number on the wire.
    pub fn as_u16(self) -> u16 {
        self as u16
    }

    /// True if a client that got this number (or none, or 1006) comes back by itself.
    pub fn comes_back(number: u16) -> bool {
        matches!(number, 1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 4500..=4999)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(code.as_str()), Some(code));
        }
        assert_eq!(ErrorCode::parse("nonsense"), None);
    }

    #[test]
    fn clients_come_back_after_what_is_not_their_fault() {
        let back: Vec<u16> = CloseCode::ALL
            .iter()
            .map(|code| code.as_u16())
            .filter(|code| CloseCode::comes_back(*code))
            .collect();
        assert_eq!(back, [1001, 1011, 1012, 1013, 4500, 4501]);
    }
}
