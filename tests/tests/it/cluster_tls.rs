//! Nodes that reach their Redis over TLS: what they trust, what they show, and what an operator is told.

use std::net::SocketAddr;

use fanfare_tests::{Authority, Certificate, Proxy, Redis, Setup, within};
use serde_json::json;

const PASSWORD: &str = "secret-of-mine";

/// What operators read.
const PAGE: &str = include_str!("../../../broker/daemon/REDIS.md");

/// A Redis with a certificate for this host, and a user with the documented rights and no others.
fn secured(authority: &Authority, host: &str, clients: Option<&Authority>) -> Redis {
    let redis = Redis::secured(&authority.vouch_for(&[host]), clients);
    let (_, rights) = PAGE.split_once("ACL SETUSER fanfare on >password ").expect("the page tells them");
    let (rights, _) = rights.split_once("```").expect("they stand in a block");
    let password = format!(">{PASSWORD}");
    let mut words = vec!["ACL", "SETUSER", "fanfare", "on", &password];
    words.extend(rights.split_whitespace());
    redis.command::<()>(&words);
    redis
}

/// A node that takes the word of an authority for the Redis at `url`.
fn trusting(authority: &Authority, url: &str) -> Setup {
    let config = format!("[backplane]\nredis = \"{url}\"\nca = \"ca.pem\"\n");
    Setup::new().file("ca.pem", &authority.pem()).config(&config)
}

fn url(redis: &Redis, host: &str) -> String {
    redis.secured_url(&format!("fanfare:{PASSWORD}"), host)
}

/// Waits until `/readyz` says `what`; nothing that the node says holds the password.
async fn is_told(setup: Setup, what: &str) {
    let node = setup.start().await;
    let mut told = node.until_readiness(503).await;
    let told = within(what, async {
        while !told.contains(what) {
            told = node.until_readiness(503).await;
        }
        told
    });
    let told = told.await;
    let logged = node.end_by("INT").stderr;
    assert!(logged.contains(what), "{logged}");
    for said in [&told, &logged] {
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

#[tokio::test]
async fn nodes_are_joined_over_tls_by_a_user_with_the_documented_rights_and_come_back_after_a_cut() {
    let authority = Authority::new("ours");
    let redis = secured(&authority, "localhost", None);
    let tls_port = redis.tls_port.expect("it speaks TLS");
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], tls_port)));
    let through =
        url(&redis, "localhost").replace(&tls_port.to_string(), &proxy.address().port().to_string());
    let (mut a, mut b) = (
        trusting(&authority, &url(&redis, "localhost")).start().await,
        trusting(&authority, &through).start().await,
    );
    for node in [&mut a, &mut b] {
        node.until_ready().await;
        node.learn_epoch().await;
    }
    let mut client = b.follow("a.>").await;
    assert_eq!(a.publish("a.b", json!(1)).await["heard"], true);
    client.expect(json!(["message", "a.b", "@1", 1])).await;
    proxy.refuse();
    b.until_readiness(503).await;
    assert_eq!(a.publish("a.b", json!(2)).await["position"], "@2");
    proxy.heal();
    b.until_ready().await;
    client.expect(json!(["message", "a.b", "@2", 2])).await;
    assert_eq!(b.publish("a.c", json!("x".repeat(50_000))).await["position"], "@3");
    client.expect(json!(["message", "a.c", "@3", "x".repeat(50_000)])).await;
    let history = b.get_json("/v1/topics/a.b/messages").await;
    assert_eq!(history["frames"], json!([["message", "a.b", "@1", 1], ["message", "a.b", "@2", 2]]));
}

#[tokio::test]
async fn what_stands_against_tls_is_told_by_readyz_and_the_log_without_the_password() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let redis = secured(&ours, "localhost", None);
    let secure = url(&redis, "localhost");
    let node = |url: &str| Setup::new().variable("FANFARE__BACKPLANE__REDIS", url);
    is_told(trusting(&theirs, &secure), "none of the authorities trusted here, those in ca.pem").await;
    is_told(trusting(&Authority::new("ours"), &secure), "none of the authorities trusted here").await;
    is_told(node(&secure), "those of this system; backplane.ca names others").await;
    let elsewhere = url(&redis, "127.0.0.1");
    is_told(trusting(&ours, &elsewhere), "is not for \\\"127.0.0.1\\\", the host in backplane.redis").await;
    is_told(node(&secure.replace("rediss://", "redis://")), "backplane.redis begins with rediss://").await;
    let plain = format!("rediss://fanfare:{PASSWORD}@localhost:{}", redis.address.port());
    is_told(trusting(&ours, &plain), "has not answered to TLS for 2 s; does it speak TLS?").await;
    let wrong = redis.secured_url("fanfare:secret-of-another", "localhost");
    is_told(trusting(&ours, &wrong), "does not accept the user or password").await;
}

#[tokio::test]
async fn a_redis_that_wants_certificates_of_its_clients_is_shown_one() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let redis = secured(&ours, "localhost", Some(&theirs));
    let secure = url(&redis, "localhost");
    is_told(
        trusting(&ours, &secure),
        "wants a certificate, which backplane.certificate and backplane.key give",
    )
    .await;
    let showing = |shown: &Certificate| {
        trusting(&ours, &secure)
            .file("own.pem", &shown.certificate)
            .file("own.key", &shown.key)
            .variable("FANFARE__BACKPLANE__CERTIFICATE", "own.pem")
            .variable("FANFARE__BACKPLANE__KEY", "own.key")
    };
    is_told(showing(&ours.vouch_for(&["node"])), "does not accept the one in backplane.certificate").await;
    let node = showing(&theirs.vouch_for(&["node"])).start().await;
    node.until_ready().await;
}

#[test]
fn a_check_shows_the_files_and_no_password_and_tells_one_that_can_not_be_read() {
    let secure = format!("rediss://fanfare:{PASSWORD}@localhost:6380");
    let shown = Setup::bare()
        .flags(&["check"])
        .file("ca.pem", &Authority::new("ours").pem())
        .config(&format!("[backplane]\nredis = \"{secure}\"\nca = \"ca.pem\"\n"))
        .run();
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for line in ["redis = \"rediss://fanfare:***@localhost:6380\"", "ca = \"ca.pem\""] {
        assert!(shown.stdout.contains(line), "{line} is not in {}", shown.stdout);
    }
    assert!(!shown.stdout.contains(PASSWORD), "{}", shown.stdout);
    for (config, told) in [
        (
            format!("redis = \"{secure}\"\nca = \"none.pem\""),
            "backplane.ca (file fanfare.toml:3): \"none.pem\" can't be read",
        ),
        (
            format!("redis = \"{secure}\"\nca = \"fanfare.toml\""),
            "\"fanfare.toml\" holds no certificate in PEM form",
        ),
        (
            format!("redis = \"{secure}\"\ncertificate = \"a\""),
            "backplane.certificate (file fanfare.toml:3): needs its private key",
        ),
        (
            format!("redis = \"{secure}\"\nkey = \"a\""),
            "backplane.key (file fanfare.toml:3): needs its certificate",
        ),
        (
            "redis = \"redis://localhost\"\nca = \"a\"".to_owned(),
            "backplane.ca (file fanfare.toml:3): needs a backplane.redis that begins with rediss://",
        ),
        ("ca = \"\"".to_owned(), "backplane.ca = \"\" is no path of a file"),
    ] {
        let wrong = Setup::bare().config(&format!("[backplane]\n{config}\n")).flags(&["check"]).run();
        assert_eq!(wrong.code, Some(1), "{config}: {}", wrong.stdout);
        assert!(wrong.stderr.contains(told), "{told} is not in {}", wrong.stderr);
        assert!(!wrong.stderr.contains(PASSWORD), "{}", wrong.stderr);
    }
}
