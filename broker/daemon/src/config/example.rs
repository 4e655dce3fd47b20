//! The example file: every key with its default, explained.

use fanfare_core::{TopicRule, TopicRules};
use fanfare_protocol::Filter;

use super::Settings;
use super::keys::{self, Key};

const HEAD: &str = "\
Every key of Fanfare's configuration: what it is, its bounds, and its default. None of it is needed.

The broker reads the file named by --config, else ./fanfare.toml, if there is one. A variable FANFARE__SECTION__KEY wins \
over the file, as in FANFARE__LIMITS__FRAME_BYTES=128KiB, and a flag wins over both. Durations have a unit, as in \
\"500ms\", \"25s\" or \"1h 30m\"; sizes are bytes, or have one, as in \"64KiB\".

`fanfare check` prints the configuration in effect, or everything that is wrong with it. This file is what `fanfare \
check --example` prints.";

/// What each section is about.
const SECTIONS: &[(&str, &str)] = &[
    ("backplane", "What joins the broker with others, so that together they are one."),
    ("limits", "Every bound of the broker."),
    ("drain", "How the broker takes its leave when it is told to stop."),
];

const TOPICS: &str = "\
Rules for topics, each beginning with [[topics]]. Of those whose filter matches a topic the first counts; a topic that none \
matches, and a key that is left out, have these defaults.";

/// The longest line of an explanation.
const WIDTH: usize = 100;

/// Where the bounds stand.
const COLUMN: usize = 36;

/// A configuration file with every key at its default, explained.
pub fn example() -> String {
    let mut out = String::new();
    for paragraph in HEAD.split("\n\n") {
        explain(&mut out, paragraph);
        out.push_str("#\n");
    }
    out.truncate(out.len() - "#\n".len());
    let settings = Settings::default();
    let mut section = "";
    for key in keys::all() {
        let nothing = || key.line_of_nothing(&settings).map(|line| format!("#{line}"));
        let Some(line) = key.line(&settings).or_else(nothing) else { continue };
        out.push('\n');
        if key.section() != section {
            section = key.section();
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about);
            explain(&mut out, about);
            out.push_str(&format!("[{section}]\n\n"));
        }
        explain(&mut out, key.about);
        assign(&mut out, key, &line);
    }
    out.push('\n');
    explain(&mut out, TOPICS);
    out.push_str("#\n#[[topics]]\n");
    let rule = default_rule();
    for key in keys::all() {
        let Some(line) = key.line_of_rule(&rule) else { continue };
        out.push_str("#\n");
        explain(&mut out, key.about);
        assign(&mut out, key, &format!("#{line}"));
    }
    out
}

fn default_rule() -> TopicRule {
    let filter = Filter::parse("orders.>").expect("a filter");
    let (history, on_slow) = TopicRules::default().rule_for(filter.as_str());
    TopicRule { filter, history, on_slow }
}

/// Writes the line that sets a key, with its bounds.
fn assign(out: &mut String, key: &Key, line: &str) {
    match key.kind.bounds() {
        Some(bounds) => out.push_str(&format!("{line:<COLUMN$} # {bounds}\n")),
        None => out.push_str(&format!("{line}\n")),
    }
}

/// Writes a comment, broken into lines.
fn explain(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dir;
    use super::*;

    #[test]
    fn the_example_in_the_repository_is_the_one_that_is_printed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fanfare.example.toml");
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == example(), "run `cargo run -- check --example > fanfare.example.toml` in the root");
    }

    #[test]
    fn the_example_sets_exactly_the_defaults() {
        let effective = Dir::new(&[("fanfare.toml", &example())]).effective(&[], "").unwrap();
        assert_eq!(effective.settings, Settings::default());
        assert!(!effective.to_string().contains("# default"), "{effective}");
    }

    #[test]
    fn its_rule_for_topics_can_be_switched_on() {
        let example = example();
        let (others, rule) = example.split_at(example.find("#[[topics]]").unwrap());
        let rule = rule.lines().map(|line| format!("{}\n", switched_on(line)));
        let on: String = [others.to_owned()].into_iter().chain(rule).collect();
        let effective = Dir::new(&[("fanfare.toml", &on)]).effective(&[], "").unwrap();
        assert_eq!(effective.settings.rules, TopicRules::new(vec![default_rule()]));
    }

    /// The line without the mark of one that is switched off; prose has a space behind it.
    fn switched_on(line: &str) -> &str {
        line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line)
    }

    #[test]
    fn every_section_is_explained() {
        for key in keys::all() {
            let section = key.section();
            let known =
                ["", "topics"].contains(&section) || SECTIONS.iter().any(|(name, _)| *name == section);
            assert!(known, "{section}");
        }
    }
}
