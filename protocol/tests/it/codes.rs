//! The codes of errors and closes.

use fanfare_protocol::{CloseCode, ErrorCode};

use super::vectors::{CODES, load, string};

#[test]
fn the_vectors_have_every_error_code_in_order() {
    let codes = load(CODES);
    let errors = codes["errors"].as_array().unwrap();
    let words: Vec<&str> = errors.iter().map(|error| string(&error["code"])).collect();
    assert_eq!(words, ErrorCode::ALL.map(ErrorCode::as_str));
    for error in errors {
        let code = ErrorCode::parse(string(&error["code"])).unwrap();
        assert_eq!(error["http_status"], code.http_status(), "{error}");
        assert_eq!(error["retryable"], code.is_retryable(), "{error}");
    }
}

#[test]
fn the_vectors_say_after_which_close_a_client_comes_back() {
    let codes = load(CODES);
    let closes = codes["closes"].as_array().unwrap();
    for close in closes {
        let number = u16::try_from(close["code"].as_u64().unwrap()).unwrap();
        assert_eq!(close["comes_back"], CloseCode::comes_back(number), "{close}");
    }
    for code in CloseCode::ALL {
        assert!(closes.iter().any(|close| close["code"] == code.as_u16()), "{code:?}");
    }
}
