//! What the binary carries: the page at `/` and the description of the API.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::Answer;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page.
pub(super) fn index() -> Answer {
    asset("text/html; charset=utf-8", include_bytes!("../../assets/index.html"))
}

/// Its script.
pub(super) fn script() -> Answer {
    asset("text/javascript; charset=utf-8", include_bytes!("../../assets/page.js"))
}

/// Its style.
pub(super) fn style() -> Answer {
    asset("text/css; charset=utf-8", include_bytes!("../../assets/page.css"))
}

/// The API in OpenAPI 3.1.
pub(super) fn openapi() -> Answer {
    asset("application/json", include_bytes!("openapi.json"))
}

fn asset(media_type: &'static str, body: &'static [u8]) -> Answer {
    let mut answer = super::bytes(StatusCode::OK, media_type, Bytes::from_static(body));
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
