//! What the binary carries: the page at `/` and the description of the API.

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};

use super::Answer;

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The paths of the console, and what is there.
const CONSOLE: &[(&str, &[u8])] = &[
    ("/", include_bytes!("../../assets/index.html")),
    ("/page.css", include_bytes!("../../assets/page.css")),
    ("/page.js", include_bytes!("../../assets/page.js")),
    ("/console/lists.css", include_bytes!("../../assets/console/lists.css")),
    ("/console/api.js", include_bytes!("../../assets/console/api.js")),
    ("/console/confirm.js", include_bytes!("../../assets/console/confirm.js")),
    ("/console/curl.js", include_bytes!("../../assets/console/curl.js")),
    ("/console/elements.js", include_bytes!("../../assets/console/elements.js")),
    ("/console/fill.js", include_bytes!("../../assets/console/fill.js")),
    ("/console/follower.js", include_bytes!("../../assets/console/follower.js")),
    ("/console/formats.js", include_bytes!("../../assets/console/formats.js")),
    ("/console/health.js", include_bytes!("../../assets/console/health.js")),
    ("/console/limits.js", include_bytes!("../../assets/console/limits.js")),
    ("/console/live.js", include_bytes!("../../assets/console/live.js")),
    ("/console/messages.js", include_bytes!("../../assets/console/messages.js")),
    ("/console/metrics.js", include_bytes!("../../assets/console/metrics.js")),
    ("/console/now.js", include_bytes!("../../assets/console/now.js")),
    ("/console/pages.js", include_bytes!("../../assets/console/pages.js")),
    ("/console/poll.js", include_bytes!("../../assets/console/poll.js")),
    ("/console/publish.js", include_bytes!("../../assets/console/publish.js")),
    ("/console/sessions.js", include_bytes!("../../assets/console/sessions.js")),
    ("/console/sparkline.js", include_bytes!("../../assets/console/sparkline.js")),
    ("/console/tabs.js", include_bytes!("../../assets/console/tabs.js")),
    ("/console/topic.js", include_bytes!("../../assets/console/topic.js")),
    ("/console/topics.js", include_bytes!("../../assets/console/topics.js")),
];

/// The paths of the page at `/` and of all that it loads, with the answer of each.
pub(super) fn console() -> impl Iterator<Item = (&'static str, impl Fn() -> Answer + Clone)> {
    CONSOLE.iter().map(|&(path, body)| (path, move || asset(media_type(path), body)))
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

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn text(body: &[u8]) -> &str {
        std::str::from_utf8(body).unwrap()
    }

    #[test]
    fn every_file_of_the_console_is_served_at_its_path() {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        let mut served = 0;
        for folder in ["", "console"] {
            for entry in fs::read_dir(assets.join(folder)).unwrap() {
                let file = entry.unwrap().path();
                if file.is_dir() {
                    continue;
                }
                let path = format!("/{}", file.strip_prefix(&assets).unwrap().to_str().unwrap());
                let path = if path == "/index.html" { "/" } else { &path };
                let (_, body) = CONSOLE.iter().find(|(at, _)| *at == path).expect(path);
                assert_eq!(*body, fs::read(&file).unwrap(), "{path}");
                served += 1;
            }
        }
        assert_eq!(served, CONSOLE.len());
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for (path, body) in CONSOLE.iter().filter(|(path, _)| path.ends_with(".js")) {
            let folder = &path[..=path.rfind('/').unwrap()];
            for import in text(body).split(" from \"./").skip(1) {
                let imported = format!("{folder}{}", import.split('"').next().unwrap());
                assert!(CONSOLE.iter().any(|(at, _)| *at == imported), "{path} imports {imported}");
            }
        }
    }

    #[test]
    fn no_script_makes_markup_or_code_of_text_or_asks_elsewhere() {
        for (path, body) in CONSOLE.iter().filter(|(path, _)| path.ends_with(".js")) {
            let text = text(body).replace("http://www.w3.org/2000/svg", "a name, not an address");
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "://"] {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
    }

    #[test]
    fn every_element_that_a_script_names_is_on_the_page() {
        let page = text(CONSOLE[0].1);
        for (path, body) in CONSOLE.iter().filter(|(path, _)| path.ends_with(".js")) {
            for named in text(body).split("byId(\"").skip(1) {
                let id = named.split('"').next().unwrap();
                assert!(page.contains(&format!(" id=\"{id}\"")), "{path} names {id}");
            }
        }
    }
}
