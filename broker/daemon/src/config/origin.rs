//! Web origins, written as browsers write them.

/// The web origin that `written` is, as browsers write it: lower case, no default port.
pub(super) fn parse_origin(written: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("holds {written:?}, {why}");
    if written.contains('*') {
        return Err(wrong("but wildcards are not served: list each origin"));
    }
    let Some((scheme, rest)) = written.split_once("://") else {
        return Err(wrong("which is no origin such as \"https://app.example\""));
    };
    if rest.contains(['/', '?', '#', '@']) {
        return Err(wrong("but an origin is scheme, host and port only: nothing follows, not even a slash"));
    }
    let port_is_number = rest
        .rsplit_once(':')
        .is_none_or(|(host, port)| rest.ends_with(']') || (!host.is_empty() && port.parse::<u16>().is_ok()));
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"' || !c.is_ascii();
    if scheme.is_empty() || rest.is_empty() || !port_is_number || written.contains(odd) {
        return Err(wrong("which is no origin such as \"https://app.example\" or \"http://127.0.0.1:5173\""));
    }
    let origin = written.to_ascii_lowercase();
    let default_port = [("http://", ":80"), ("https://", ":443")];
    let portless = default_port
        .into_iter()
        .find_map(|(scheme, port)| origin.starts_with(scheme).then(|| origin.strip_suffix(port)).flatten());
    Ok(portless.unwrap_or(&origin).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_kept_as_browsers_write_them() {
        for (written, origin) in [
            ("https://app.example", "https://app.example"),
            ("HTTPS://App.Example:443", "https://app.example"),
            ("http://a:80", "http://a"),
            ("http://a:443", "http://a:443"),
            ("http://127.0.0.1:5173", "http://127.0.0.1:5173"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[::1]", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(parse_origin(written), Ok(origin.to_owned()));
        }
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for written in [
            "",
            "app.example",
            "null",
            "*",
            "https://*.example",
            "https://",
            "://a",
            "https://a/",
            "https://a/b",
            "https://a?b",
            "https://me@a",
            "https://a:b",
            "https://a:99999",
            "https://:1",
            "https://a b",
            "https://ä",
        ] {
            assert!(parse_origin(written).is_err(), "{written}");
        }
    }
}
