//! Many messages in one call, and many calls in one write.

use super::*;
use crate::redis::scripts::Script;

/// What became of each: its seq, or why it was refused.
async fn outcomes(calls: &Calls, batch: &[Unnumbered]) -> Vec<Result<u64, Refusal>> {
    let outcomes = publish_all(calls, batch).await.unwrap();
    outcomes.into_iter().map(|outcome| outcome.map(|published| published.position.seq)).collect()
}

/// The texts kept of a topic, in order of their seqs.
async fn kept(scene: &Scene, topic: &str) -> Vec<String> {
    let read = scene.read(&[one(topic)], 0).await;
    let text = |numbered: &Numbered| match &numbered.message.payload {
        Payload::Text(text) => std::str::from_utf8(text).unwrap().to_owned(),
        other @ (Payload::Json(_) | Payload::MessagePack(_) | Payload::Binary(_)) => {
            panic!("{other:?} is no text")
        }
    };
    read.iter().flat_map(|topic| &topic.kept).map(text).collect()
}

#[tokio::test]
async fn a_batch_is_numbered_in_its_order_and_each_is_answered_by_itself() {
    let scene = Scene::with(Bounds { topics: 2, ..BOUNDS }).await;
    let keyed = |topic, data: &str| {
        let mut draft = draft(topic, data);
        draft.publication.idempotency_key = Some("k".into());
        draft
    };
    let batch = [
        draft("a", "1"),
        keyed("b", "2"),
        keyed("b", "2"),
        keyed("b", "3"),
        draft("c", "4"),
        draft("a", "5"),
    ];
    let outcomes = publish_all(&scene.calls, &batch).await.unwrap();
    let shown: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| match outcome {
            Ok(published) => format!("{} {}", published.position.seq, published.repeated),
            Err(refusal) => format!("{refusal:?}"),
        })
        .collect();
    let full = "TooManyTopics { topics_max: 2 }";
    assert_eq!(shown, ["1 false", "2 false", "2 true", "IdempotencyMismatch", full, "3 false"]);
}

#[tokio::test]
async fn a_batch_of_many_calls_is_numbered_and_kept_in_its_order() {
    let scene = Scene::new().await;
    let rule = HistoryRule { count: 1_000, age_ms: 60_000 };
    let texts: Vec<String> = (0..500).map(|at| at.to_string()).collect();
    let batch: Vec<Unnumbered> = texts.iter().map(|text| Unnumbered { rule, ..draft("a", text) }).collect();
    assert_eq!(outcomes(&scene.calls, &batch).await, (1..=500).map(Ok).collect::<Vec<_>>());
    assert_eq!(kept(&scene, "a").await, texts);
    let note = scene.calls.keys.run(1);
    assert!(scene.redis.command::<i64>(&["PTTL", &note]) > 0, "what its calls have noted goes by itself");
}

#[tokio::test]
async fn a_call_does_nothing_if_the_one_before_it_did_not_end() {
    let scene = Scene::with(Bounds { topics: 3, ..BOUNDS }).await;
    let unkept = HistoryRule { count: 0, age_ms: 60_000 };
    for topic in ["old", "older"] {
        published(&scene.calls, Unnumbered { rule: unkept, ..draft(topic, "x") }).await.unwrap();
    }
    scene.publish("a", "first").await.unwrap();
    let topic = |at| match at {
        10 => "new",
        90 => "newer",
        95 => "newest",
        _ => "a",
    };
    let batch: Vec<Unnumbered> = (0..100).map(|at| draft(topic(at), &at.to_string())).collect();
    let said = outcomes(&scene.calls, &batch).await;
    let refused = Refusal::TooManyTopics { topics_max: 3 };
    let expected = (0..100u64).map(|at| match at {
        95 => Err(refused.clone()),
        _ => Ok(4 + at - u64::from(at > 95)),
    });
    assert_eq!(said, expected.collect::<Vec<_>>(), "room was made for two, and nobody overtook them");
}

#[tokio::test]
async fn a_script_that_is_lost_before_a_batch_costs_no_order() {
    let scene = Scene::new().await;
    scene.redis.command::<()>(&["SCRIPT", "FLUSH"]);
    let batch: Vec<Unnumbered> = (0..100).map(|at| draft("a", &at.to_string())).collect();
    assert_eq!(outcomes(&scene.calls, &batch).await, (1..=100).map(Ok).collect::<Vec<_>>());
    assert_eq!(kept(&scene, "a").await, (0..100).map(|at| at.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_repetition_in_a_later_call_of_a_batch_is_known() {
    let scene = Scene::new().await;
    let batch: Vec<Unnumbered> = (0..80)
        .map(|at| {
            let mut draft = draft("a", "same");
            draft.publication.idempotency_key = Some((at % 40).to_string().into());
            draft
        })
        .collect();
    let expected: Vec<_> = (1..=40).chain(1..=40).map(Ok).collect();
    assert_eq!(outcomes(&scene.calls, &batch).await, expected);
}

#[tokio::test]
async fn without_memory_in_the_middle_a_beginning_of_the_batch_is_published_and_nothing_else() {
    let scene = Scene::new().await;
    let used: String = scene.redis.command(&["INFO", "memory"]);
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let enough_for_some = used.trim().parse::<u64>().unwrap() + (2 << 20);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", &enough_for_some.to_string()]);
    let rule = HistoryRule { count: 2_000, age_ms: 60_000 };
    let data = "x".repeat(8 << 10);
    let batch: Vec<Unnumbered> = (0..500).map(|_| Unnumbered { rule, ..draft("a", &data) }).collect();
    let said = outcomes(&scene.calls, &batch).await;
    let published = said.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(0 < published && published < 500, "{published}");
    let is_full = |outcome: &Result<u64, Refusal>| matches!(outcome, Err(Refusal::BackplaneFull { .. }));
    assert!(said[published..].iter().all(is_full), "{:?}", &said[published..]);
    scene.redis.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(scene.redis.command::<usize>(&["LLEN", &scene.calls.keys.list("a")]), published);
    assert_eq!(scene.publish("a", "next").await.unwrap().position.seq, published as u64 + 1);
}

#[tokio::test]
async fn nothing_overtakes_a_call_that_was_refused_though_there_is_memory_again() {
    let scene = Scene::new().await;
    let keys = &scene.calls.keys;
    let (record, topics, list, note) = (keys.record(), keys.directory(), keys.list("a"), keys.run(1));
    let source = Script::Publish.source();
    let call = ["EVAL", &source, "4", &record, &topics, &list, &note, "", "77", "1", "1"];
    let behind_the_first = ["run:32", "run:64", "100", "1", "60000", "a", "envelope", "10", "60000", "", "0"];
    let second = [&call[..], &behind_the_first].concat();
    let done = || scene.redis.command::<Vec<redis::Value>>(&second).len();
    assert_eq!(done(), 0, "the first has noted nothing");
    scene.redis.command::<()>(&["SET", &note, "other:32"]);
    assert_eq!(done(), 0, "another batch has come so far");
    assert_eq!(scene.redis.command::<u64>(&["LLEN", &list]), 0);
    scene.redis.command::<()>(&["SET", &note, "run:32"]);
    assert_eq!(done(), 1);
    assert_eq!(scene.redis.command::<String>(&["GET", &note]), "run:64");
}

/// Publishes batches on two nodes, two at once on the first with messages of no batch between them, and does something
/// to Redis once some of them are kept, more each time; then what Redis keeps, and what was answered to whom.
async fn struck(strike: &'static [&'static str]) -> Vec<(Vec<String>, Vec<Vec<Result<Published, Refusal>>>)> {
    let scene = Scene::with(Bounds { topics: 1_000, ..BOUNDS }).await;
    let other = node(&scene.redis, 2, BOUNDS).await;
    let rule = HistoryRule { count: 2_000, age_ms: 60_000 };
    let mut rounds = Vec::new();
    for round in 0..20 {
        let topic = format!("t{round}");
        let batch = |name: &str, count: usize| -> Vec<Unnumbered> {
            (0..count).map(|at| Unnumbered { rule, ..draft(&topic, &format!("{name} {at:03}")) }).collect()
        };
        let (a, b, c, d) = (batch("a", 256), batch("b", 200), batch("c", 256), batch("d", 1));
        // A script that was lost in the round before is there again.
        scene.publish("before", "x").await.unwrap();
        let mut striker = scene.redis.connect();
        let list = scene.calls.keys.list(&topic);
        let thread = tokio::task::spawn_blocking(move || {
            let kept = redis::cmd("LLEN").arg(list).to_owned();
            while kept.query::<u64>(&mut striker).unwrap() < 35 * round {}
            let mut command = redis::cmd(strike[0]);
            strike[1..].iter().for_each(|word| _ = command.arg(word));
            command.exec(&mut striker).unwrap();
        });
        let calls = &scene.calls;
        let (a, b, c, d, struck) = tokio::join!(
            publish_all(calls, &a),
            publish_all(calls, &b),
            publish_all(&other.calls, &c),
            publish_all(calls, &d),
            thread
        );
        struck.unwrap();
        let answers = [a, b, c, d].into_iter().map(Result::unwrap).collect();
        rounds.push((kept(&scene, &topic).await, answers));
    }
    rounds
}

#[tokio::test]
async fn scripts_that_are_lost_under_batches_cost_no_order_and_nothing_comes_twice() {
    for (kept, answers) in struck(&["SCRIPT", "FLUSH"]).await {
        assert_eq!(kept.len(), 713);
        for (name, answers) in ["a", "b", "c", "d"].iter().zip(answers) {
            let texts: Vec<&String> = kept.iter().filter(|text| text.starts_with(name)).collect();
            assert_eq!(texts.len(), answers.len());
            assert!(texts.is_sorted(), "{texts:?}");
            let seqs: Vec<u64> = answers.iter().map(|one| one.as_ref().unwrap().position.seq).collect();
            assert!(seqs.is_sorted() && seqs.windows(2).all(|two| two[0] < two[1]), "{seqs:?}");
        }
    }
}

#[tokio::test]
async fn a_redis_that_is_emptied_under_batches_keeps_the_rest_of_each_in_its_order() {
    let mut ends = 0;
    for (kept, answers) in struck(&["FLUSHALL"]).await {
        for (name, answers) in ["a", "b", "c", "d"].iter().zip(answers) {
            let texts: Vec<&String> = kept.iter().filter(|text| text.starts_with(name)).collect();
            let lost = answers.len() - texts.len();
            ends += usize::from(lost > 0 && !texts.is_empty());
            let all = (0..answers.len()).map(|at| format!("{name} {at:03}"));
            assert!(texts.into_iter().eq(all.skip(lost).collect::<Vec<_>>().iter()), "it is the end of all");
            let lives: Vec<u64> =
                answers.iter().map(|one| one.as_ref().unwrap().position.epoch.life).collect();
            assert!(lives.windows(2).filter(|two| two[0] != two[1]).count() <= 1, "{lives:?}");
            let rest = &answers[lost..];
            assert!(
                rest.iter().all(|one| one.as_ref().unwrap().position.epoch.life == lives[answers.len() - 1])
            );
        }
    }
    assert!(ends > 0, "it was never emptied under a batch");
}

#[tokio::test]
async fn a_call_is_not_repeated_for_who_waits_no_more() {
    for (lost, seqs) in [("nothing", vec![2, 3]), ("SCRIPT", vec![]), ("room", vec![])] {
        let scene = Scene::with(Bounds { topics: 2, ..BOUNDS }).await;
        scene.publish("old", "x").await.unwrap();
        scene.calls.clear(&name("old")).await.unwrap();
        match lost {
            "SCRIPT" => scene.redis.command(&["SCRIPT", "FLUSH"]),
            "room" => scene.redis.command(&["ZADD", &scene.calls.keys.directory(), "1", "other"]),
            _ => {}
        }
        let mut batch = vec![draft("new", "1"), draft("new", "2")];
        let outcomes = scene.calls.publish(&mut batch, Vec::clear).await.unwrap();
        let published: Vec<u64> = outcomes.into_iter().map(|outcome| outcome.unwrap().position.seq).collect();
        assert_eq!((published.len(), published), (batch.len(), seqs.clone()), "{lost}");
        assert_eq!(scene.calls.record().await.unwrap().seq, 1 + seqs.len() as u64, "{lost}");
    }
}
