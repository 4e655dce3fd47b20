//! The page that the broker serves.

use std::collections::BTreeSet;

use fanfare_tests::Broker;

#[tokio::test]
async fn the_page_and_all_that_it_loads_are_served_under_a_strict_policy() {
    let broker = Broker::start().await;
    let (mut met, mut waiting) = (BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = waiting.pop() {
        if !met.insert(path.clone()) {
            continue;
        }
        let answer = broker.get(&path).await;
        assert_eq!(answer.status, 200, "{path}");
        waiting.extend(loaded(&path, answer.text()));
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        let media_type = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(answer.header("content-type"), Some(media_type), "{path}");
    }
    assert!(met.len() >= 20, "{met:?}");
}

/// The paths of what a page or a module loads.
fn loaded(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let marks: &[&str] = if path.ends_with(".js") { &[" from \"./"] } else { &["src=\"", "href=\""] };
    let values =
        marks.iter().flat_map(|mark| text.split(mark).skip(1)).filter_map(|rest| rest.split('"').next());
    let files = values.filter(|value| !value.starts_with(['#', '/']) && !value.starts_with("data:"));
    files.map(|file| format!("{folder}/{file}")).collect()
}

#[tokio::test]
async fn nothing_on_the_page_needs_more_than_the_policy_allows() {
    let broker = Broker::start().await;
    let page = broker.get("/").await;
    for tag in page.text().split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or(tag);
        assert!(!tag.contains(" style="), "<{tag}>");
        assert!(!tag.contains(" on"), "<{tag}> has a handler inside");
        assert!(!tag.starts_with("style"), "<{tag}>");
        assert!(!tag.starts_with("script") || tag.contains(" src="), "<{tag}>");
        assert!(!tag.contains("=\"http"), "<{tag}> loads from elsewhere");
    }
}
