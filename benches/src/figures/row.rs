//! One row of the table: the medians of its rounds and the verdict.

use serde::Serialize;
use serde_json::Value;

use super::Round;
use super::scenario::{Bound, Figure, NOISE, Rival, Scenario, Unit};

/// The share of its core beyond which a generator that publishes as fast as it can is itself the limit.
const GENERATOR_LOAD_MAX: f64 = 0.95;

/// One figure, measured.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The scenario's name.
    pub scenario: &'static str,
    /// What was measured.
    pub title: &'static str,
    /// What it should come to.
    pub target: String,
    /// The broker's in each round.
    pub broker: Vec<f64>,
    /// The rival's in each round.
    pub rival: Vec<f64>,
    /// Their ratio in each round that has both.
    pub ratios: Vec<f64>,
    /// `met`, `missed`, `void` with the reason, or `—` where nothing was promised or measured; then any doubt.
    pub verdict: String,
    #[serde(skip)]
    unit: Unit,
}

impl Row {
    /// The row of one figure over all rounds.
    pub(super) fn new(scenario: &Scenario, figure: &Figure, rounds: &[Round]) -> Row {
        let broker = |round: &Round| at(round.broker.as_ref()?, figure.key);
        let rival = |round: &Round| at(round.rival.as_ref()?, figure.key.rsplit('.').next()?);
        let pairs: Vec<_> = rounds.iter().map(|round| (broker(round), rival(round))).collect();
        let mut row = Row {
            scenario: scenario.name,
            title: figure.title,
            target: target(figure, &scenario.rival),
            broker: pairs.iter().filter_map(|(broker, _)| *broker).collect(),
            rival: pairs.iter().filter_map(|(_, rival)| *rival).collect(),
            ratios: pairs.iter().filter_map(|(broker, rival)| Some((*broker)? / (*rival)?)).collect(),
            verdict: String::new(),
            unit: figure.unit,
        };
        let mut outcomes = rounds.iter().flat_map(|round| [&round.broker, &round.rival]).flatten();
        let doubt = rounds.iter().find_map(|round| doubt(round.broker.as_ref()?));
        let judge = || row.judge(figure.bound) + doubt.as_deref().unwrap_or_default();
        row.verdict = outcomes.find_map(fault).unwrap_or_else(judge);
        row
    }

    /// True if what was promised was not shown.
    pub fn is_bad(&self) -> bool {
        !self.verdict.starts_with("met") && !self.verdict.starts_with('—')
    }

    /// The head of a table of rows.
    pub fn markdown_head() -> &'static str {
        "| figure | target | broker | floor, or alone | ratio | |\n| --- | --- | --- | --- | --- | --- |"
    }

    /// The row in a table.
    pub fn markdown(&self) -> String {
        let value =
            |values: &[f64]| median(values).map_or("—".to_owned(), |median| show(median, self.unit));
        let ratio = median(&self.ratios).map_or("—".to_owned(), |ratio| format!("{ratio:.2}"));
        let (broker, rival) = (value(&self.broker), value(&self.rival));
        format!("| {} | {} | {broker} | {rival} | {ratio} | {} |", self.title, self.target, self.verdict)
    }

    fn judge(&self, bound: Bound) -> String {
        let (broker, ratio) = (median(&self.broker), median(&self.ratios));
        let more = self.broker.iter().zip(&self.rival).map(|(broker, rival)| broker - rival);
        let more = median(&more.collect::<Vec<_>>());
        let is_met = match bound {
            Bound::AtMost(most) => broker.map(|broker| broker <= most),
            Bound::AtLeast(least) => broker.map(|broker| broker >= least),
            Bound::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Bound::MoreAtMost(most) => more.map(|more| more <= most),
            Bound::NoMore => ratio.map(|ratio| ratio <= 1.0 + NOISE),
            Bound::Open => None,
        };
        is_met.map_or("—", |is_met| if is_met { "met" } else { "missed" }).to_owned()
    }
}

/// The number at a key with dots.
fn at(outcome: &Value, key: &str) -> Option<f64> {
    key.split('.').try_fold(outcome, |part, key| part.get(key))?.as_f64()
}

/// Why an outcome proves nothing, if it does not.
fn fault(outcome: &Value) -> Option<String> {
    if outcome["exact"] != true {
        if let Some(faults) = outcome["faults"].as_array() {
            return Some(format!(
                "void: {}",
                faults.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
            ));
        }
        let (missing, surplus) = (&outcome["missing"], &outcome["surplus"]);
        return Some(format!("void: {missing} missing, {surplus} surplus, {}", outcome["tally"]));
    }
    None
}

/// What weakens an outcome that stands: a generator at its own limit.
fn doubt(outcome: &Value) -> Option<String> {
    let is_flat_out = outcome["paced"] == false;
    let load = outcome["generator_load"].as_f64().filter(|load| is_flat_out && *load > GENERATOR_LOAD_MAX)?;
    Some(format!(" (the generator at {:.0} % of its core)", load * 100.0))
}

fn target(figure: &Figure, rival: &Rival) -> String {
    let rival = match rival {
        Rival::Floor => "the floor",
        Rival::Json(_) => "JSON",
        Rival::WebSocket(_) => "a WebSocket",
        Rival::Alone | Rival::Nobody(_) => "alone",
        Rival::OneNode(_) => "one node",
    };
    match figure.bound {
        Bound::AtMost(most) => format!("<= {}", show(most, figure.unit)),
        Bound::AtLeast(least) => format!(">= {}", show(least, figure.unit)),
        Bound::RatioAtMost(most) => format!("<= {most} x {rival}"),
        Bound::MoreAtMost(most) => format!("<= {rival} + {}", show(most, figure.unit)),
        Bound::NoMore => format!("no more than {rival} (noise {:.0} %)", NOISE * 100.0),
        Bound::Open => "—".to_owned(),
    }
}

fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Us if value < 1.0 => format!("{value:.3} us"),
        Unit::Us => format!("{value:.2} us"),
        Unit::Ms => format!("{value:.2} ms"),
        Unit::MillionPerS => format!("{:.2} M/s", value / 1e6),
        Unit::Bytes => format!("{value:.0} B"),
        Unit::BytesPerS => format!("{value:.0} B/s"),
        Unit::Count => format!("{value:.3}"),
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = sorted.len() / 2;
    let below = sorted.len().checked_sub(1)? / 2;
    Some((sorted[below] + sorted[above]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::SCENARIOS;
    use serde_json::json;

    fn row(pairs: &[(f64, f64)]) -> Row {
        let outcome = |us: f64| Some(json!({ "exact": true, "server_us_per_delivery": us }));
        let round = |(broker, rival): &(f64, f64)| Round { broker: outcome(*broker), rival: outcome(*rival) };
        Row::new(&SCENARIOS[0], &SCENARIOS[0].figures[0], &pairs.iter().map(round).collect::<Vec<_>>())
    }

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        let row = row(&[(2.0, 2.0), (12.0, 10.0), (4.4, 4.0)]);
        assert_eq!(
            row.markdown(),
            "| one message at a time, 1,000 subscribers: CPU a delivery | <= 1.25 x the floor | 4.40 us | 4.00 us \
             | 1.10 | met |"
        );
        assert!(!row.is_bad());
    }

    #[test]
    fn a_missed_target_is_bad() {
        assert!(row(&[(2.0, 1.5), (3.0, 2.0)]).is_bad());
    }

    #[test]
    fn a_trial_is_held_against_what_it_measured_alone() {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "filters").unwrap();
        let outcome = json!({ "exact": true, "still": { "server_us_per_publish": 30.0 } });
        let alone = json!({ "exact": true, "server_us_per_publish": 10.0 });
        let row =
            Row::new(scenario, &scenario.figures[0], &[Round { broker: Some(outcome), rival: Some(alone) }]);
        assert_eq!(
            (row.ratios.as_slice(), row.target.as_str(), row.verdict.as_str()),
            (&[3.0][..], "<= 2 x alone", "missed")
        );
    }

    #[test]
    fn joined_nodes_are_held_against_one_by_what_they_take_longer() {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == "joined").unwrap();
        let took = |us: f64| Some(json!({ "exact": true, "delivery_p50_us": us }));
        let verdict = |us: f64| {
            let round = Round { broker: took(us), rival: took(100.0) };
            Row::new(scenario, &scenario.figures[0], &[round]).verdict
        };
        assert_eq!((verdict(250.0).as_str(), verdict(250.1).as_str()), ("met", "missed"));
    }

    #[test]
    fn a_trial_that_finds_faults_proves_nothing() {
        let outcome = json!({ "exact": false, "faults": ["a reader was cut"] });
        let row = Row::new(
            &SCENARIOS[0],
            &SCENARIOS[0].figures[0],
            &[Round { broker: Some(outcome), rival: None }],
        );
        assert_eq!(row.verdict, "void: a reader was cut");
    }

    #[test]
    fn an_inexact_run_proves_nothing() {
        let outcome = json!({ "exact": false, "missing": 7, "surplus": 0, "server_us_per_delivery": 1.0 });
        let round = Round { broker: Some(outcome), rival: None };
        let row = Row::new(&SCENARIOS[0], &SCENARIOS[0].figures[0], &[round]);
        assert!(row.verdict.starts_with("void: 7 missing") && row.is_bad());
    }

    #[test]
    fn a_median_stands_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
