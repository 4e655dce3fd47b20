use super::*;

const HERE: &str = "localhost:8900";

fn rule(listed: &[&str], on_loopback: bool) -> OriginRule {
    let listed: Vec<String> = listed.iter().map(|entry| (*entry).to_owned()).collect();
    OriginRule::new(&listed, on_loopback).unwrap()
}

fn verdict(rule: &OriginRule, target: &str, lines: &[(HeaderName, &str)]) -> Result<(), OriginError> {
    let lines = lines.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
    let mut headers = HeaderMap::new();
    lines.for_each(|(name, value)| {
        headers.append(name, value);
    });
    rule.check(&target.parse().unwrap(), &headers)
}

fn code(rule: &OriginRule, lines: &[(HeaderName, &str)]) -> Option<ErrorCode> {
    verdict(rule, "/v1/ws", lines).err().map(|error| error.code())
}

#[test]
fn on_loopback_only_its_names_are_hosts() {
    let rule = rule(&["https://app.example:444"], true);
    for (host, expected) in [
        ("localhost", None),
        ("LocalHost:8900", None),
        ("localhost.", None),
        ("localhost:", None),
        ("demo.localhost:8900", None),
        ("127.0.0.1:8900", None),
        ("127.255.0.9", None),
        ("[::1]:8900", None),
        ("[0:0:0:0:0:0:0:1]", None),
        ("[::ffff:127.0.0.1]", None),
        ("app.example", None),
        ("APP.example:8900", None),
        ("evil.example", Some(ErrorCode::Forbidden)),
        ("localhost.evil.example", Some(ErrorCode::Forbidden)),
        ("notlocalhost", Some(ErrorCode::Forbidden)),
        ("127.0.0.1.evil.example", Some(ErrorCode::Forbidden)),
        ("sub.app.example", Some(ErrorCode::Forbidden)),
        ("127.1", Some(ErrorCode::Forbidden)),
        ("2130706433", Some(ErrorCode::Forbidden)),
        ("128.0.0.1", Some(ErrorCode::Forbidden)),
        ("0.0.0.0:8900", Some(ErrorCode::Forbidden)),
        ("192.168.0.7", Some(ErrorCode::Forbidden)),
        ("[::2]", Some(ErrorCode::Forbidden)),
        ("", Some(ErrorCode::BadRequest)),
        (":8900", Some(ErrorCode::BadRequest)),
        ("localhost:port", Some(ErrorCode::BadRequest)),
        ("localhost:65536", Some(ErrorCode::BadRequest)),
        ("localhost:+1", Some(ErrorCode::BadRequest)),
        ("localhost:1:2", Some(ErrorCode::BadRequest)),
        ("::1", Some(ErrorCode::BadRequest)),
        ("[::1", Some(ErrorCode::BadRequest)),
        ("[::1]8", Some(ErrorCode::BadRequest)),
        ("[localhost]", Some(ErrorCode::BadRequest)),
        ("user@localhost", Some(ErrorCode::BadRequest)),
        ("localhost/x", Some(ErrorCode::BadRequest)),
        ("localhost, evil.example", Some(ErrorCode::BadRequest)),
    ] {
        assert_eq!(code(&rule, &[(HOST, host)]), expected, "{host}");
    }
    assert_eq!(code(&rule, &[]), Some(ErrorCode::BadRequest));
    assert_eq!(code(&rule, &[(HOST, HERE), (HOST, HERE)]), Some(ErrorCode::BadRequest));
}

#[test]
fn elsewhere_any_host_is_served() {
    let rule = rule(&[], false);
    for host in ["broker.example", "192.168.0.7:8900", "localhost"] {
        assert_eq!(code(&rule, &[(HOST, host)]), None, "{host}");
    }
    assert_eq!(code(&rule, &[]), None);
    assert_eq!(code(&rule, &[(ORIGIN, "http://broker.example")]), Some(ErrorCode::Forbidden));
    assert_eq!(code(&rule, &[(HOST, "a"), (HOST, "b")]), Some(ErrorCode::BadRequest));
}

#[test]
fn pages_of_the_brokers_own_and_listed_ones_may_call() {
    let rule = rule(&["https://app.example", "http://Dev.example:3000", "capacitor://localhost"], false);
    for (host, origin, may) in [
        ("broker.example", "https://broker.example", true),
        ("broker.example", "http://broker.example", true),
        ("Broker.example:443", "HTTPS://broker.EXAMPLE", true),
        ("broker.example", "https://broker.example:443", true),
        ("broker.example:80", "http://broker.example", true),
        ("broker.example:80", "https://broker.example", false),
        ("broker.example:8900", "http://broker.example:8900", true),
        ("broker.example:8900", "http://broker.example", false),
        ("broker.example", "http://broker.example:8900", false),
        ("[::1]:8900", "http://[::1]:8900", true),
        ("broker.example", "ws://broker.example", false),
        (HERE, "http://127.0.0.1:8900", false),
        (HERE, "https://app.example", true),
        (HERE, "https://APP.example:443", true),
        (HERE, "http://app.example", false),
        (HERE, "https://app.example:8443", false),
        (HERE, "https://sub.app.example", false),
        (HERE, "https://app.example.evil.example", false),
        (HERE, "http://dev.example:3000", true),
        (HERE, "http://dev.example", false),
        (HERE, "capacitor://localhost", true),
        (HERE, "null", false),
        (HERE, "", false),
        (HERE, "https://", false),
        (HERE, "app.example", false),
        (HERE, "://app.example", false),
        (HERE, "https://app.example/", false),
        (HERE, "https://app.example/path", false),
        (HERE, "https://app.example?x", false),
        (HERE, "https://user@app.example", false),
        (HERE, "https://app.example https://app.example", false),
    ] {
        let expected = if may { None } else { Some(ErrorCode::Forbidden) };
        assert_eq!(code(&rule, &[(HOST, host), (ORIGIN, origin)]), expected, "{origin:?} to {host}");
    }
    let twice = [(HOST, HERE), (ORIGIN, "https://app.example"), (ORIGIN, "https://app.example")];
    assert_eq!(code(&rule, &twice), Some(ErrorCode::Forbidden));
    assert_eq!(code(&rule, &[(HOST, HERE), (ORIGIN, "https://äpp.example")]), Some(ErrorCode::Forbidden));
}

#[test]
fn pages_without_an_origin_are_refused() {
    let listed = rule(&["https://app.example"], true);
    assert_eq!(code(&listed, &[(HOST, HERE), (ORIGIN, "null")]), Some(ErrorCode::Forbidden));
}

#[test]
fn the_target_names_the_host_and_must_agree_with_the_header() {
    let rule = rule(&[], true);
    let evil = Err(OriginError::ForeignHost("evil.example".to_owned()));
    for (target, lines, expected) in [
        ("http://localhost:8900/", &[][..], Ok(())),
        ("http://localhost:8900/", &[(HOST, "LOCALHOST:8900")], Ok(())),
        ("http://localhost:8900/", &[(ORIGIN, "http://localhost:8900")], Ok(())),
        ("http://evil.example/", &[], evil),
        ("http://evil.example/", &[(HOST, HERE)], Err(OriginError::BadHost(HERE.to_owned()))),
    ] {
        assert_eq!(verdict(&rule, target, lines), expected, "{target} {lines:?}");
    }
}

#[test]
fn a_refusal_says_what_to_set() {
    let rule = rule(&[], true);
    let said = |lines: &[(HeaderName, &str)]| verdict(&rule, "/", lines).unwrap_err().to_string();
    assert!(said(&[(HOST, "app.example:80")]).ends_with("set `origins = [\"https://app.example\"]`"));
    let page = (ORIGIN, "http://app.example:3000");
    assert!(said(&[(HOST, HERE), page]).ends_with("set `origins = [\"http://app.example:3000\"]`"));
}

#[test]
fn what_is_no_origin_can_not_be_listed() {
    for bad in ["", "app.example", "https://app.example/", "https://*.example", "//app.example", "**"] {
        let listed = [bad.to_owned()];
        assert_eq!(OriginRule::new(&listed, true).unwrap_err(), BadOriginListed(bad.to_owned()));
    }
}
