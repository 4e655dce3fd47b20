//! Topics, filters, which of them match, positions and cursors.

use fanfare_protocol::{Cursor, Filter, NameError, Position, Topic};
use serde_json::Value;

use super::vectors::{CURSORS, NAMES, load, string};

#[test]
fn topics_and_filters_are_read_as_the_vectors_say() {
    let names = load(NAMES);
    for topic in list(&names["topics"]["valid"]) {
        assert_eq!(Topic::parse(string(topic)).as_ref().map(Topic::as_str), Ok(string(topic)));
        assert!(
            Filter::parse(string(topic)).is_ok_and(|filter| filter.is_topic()),
            "every topic is a filter"
        );
    }
    for filter in list(&names["filters"]["valid"]) {
        assert_eq!(Filter::parse(string(filter)).as_ref().map(Filter::as_str), Ok(string(filter)));
    }
}

#[test]
fn bad_names_are_refused_for_the_reason_that_the_vectors_give() {
    let names = load(NAMES);
    for bad in list(&names["topics"]["invalid"]) {
        let error = Topic::parse(string(&bad["text"])).expect_err(string(&bad["text"]));
        assert_eq!(because(&error), string(&bad["because"]), "{bad}");
    }
    for bad in list(&names["filters"]["invalid"]) {
        let error = Filter::parse(string(&bad["text"])).expect_err(string(&bad["text"]));
        assert_eq!(because(&error), string(&bad["because"]), "{bad}");
    }
}

#[test]
fn filters_match_what_the_vectors_say_and_nothing_else() {
    for vector in list(&load(NAMES)["matching"]) {
        let filter = Filter::parse(string(&vector["filter"])).unwrap();
        for topic in list(&vector["matches"]) {
            assert!(filter.matches(string(topic)), "{filter} matches {topic}");
        }
        for topic in list(&vector["misses"]) {
            assert!(!filter.matches(string(topic)), "{filter} does not match {topic}");
        }
    }
}

#[test]
fn positions_and_cursors_are_read_as_the_vectors_say() {
    let cursors = load(CURSORS);
    for text in list(&cursors["positions"]["valid"]) {
        assert_eq!(
            string(text).parse::<Position>().map(|position| position.to_string()).as_deref(),
            Ok(string(text))
        );
    }
    for text in list(&cursors["positions"]["invalid"]) {
        assert!(string(text).parse::<Position>().is_err(), "{text}");
    }
    for vector in list(&cursors["cursors"]["valid"]) {
        let cursor: Cursor = string(&vector["text"]).parse().unwrap();
        assert_eq!(cursor.to_string(), string(&vector["is"]));
    }
    for text in list(&cursors["cursors"]["invalid"]) {
        assert!(string(text).parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn a_position_replaces_its_own_partitions_part_of_a_cursor() {
    for vector in list(&load(CURSORS)["replaced"]) {
        let mut cursor: Cursor = string(&vector["cursor"]).parse().unwrap();
        cursor.replace(string(&vector["by"]).parse().unwrap());
        assert_eq!(cursor.to_string(), string(&vector["is"]), "{vector}");
    }
}

fn because(error: &NameError) -> &'static str {
    match error {
        NameError::Empty => "empty",
        NameError::TooLong(_) => "too long",
        NameError::TooManySegments(_) => "too many segments",
        NameError::EmptySegment(_) => "empty segment",
        NameError::Character(character) if character.is_control() => "control character",
        NameError::Character(_) => "space",
        NameError::Wildcard(_) => "wildcard",
        NameError::MisplacedWildcard(_) => "misplaced wildcard",
        NameError::Reserved => "reserved",
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is no list"))
}
