//! What nodes said of their readiness, against the faults that they had.

use std::collections::BTreeMap;

use super::{Claim, Event, Numbered, Report};

/// How long a node may take to see that it is cut off.
const RED_WITHIN_US: u64 = 5_000_000;
/// How long it may take to see that all is well again.
const GREEN_WITHIN_US: u64 = 10_000_000;

#[derive(Debug, Clone, Copy)]
struct Fault {
    line: usize,
    begun_at: u64,
    severs: bool,
}

/// What is the matter with nodes.
#[derive(Debug, Default)]
struct State<'a> {
    faults: BTreeMap<(&'a str, Option<&'a str>), Fault>,
    /// When the last fault of a node ended, or it came up; by node, none for all.
    well_since: BTreeMap<Option<&'a str>, (u64, usize)>,
}

pub(super) fn check(lines: &[Numbered], report: &mut Report) {
    let mut state = State::default();
    for line in lines {
        match &line.event {
            Event::Fault { name, node, begins, severs } => {
                let key = (name.as_str(), node.as_deref());
                let fault = Fault { line: line.number, begun_at: line.at, severs: *severs };
                if *begins {
                    state.faults.insert(key, fault);
                } else if state.faults.remove(&key).is_some() {
                    state.well_since.insert(node.as_deref(), (line.at, line.number));
                }
            }
            Event::Node { node, up: true, .. } => {
                state.well_since.insert(Some(node), (line.at, line.number));
            }
            Event::Ready { node, ready } => state.check(node, *ready, line, report),
            _ => {}
        }
    }
}

impl State<'_> {
    fn check(&self, node: &str, is_ready: bool, line: &Numbered, report: &mut Report) {
        let mut met = self.faults.iter().filter(|((_, whom), _)| whom.is_none_or(|whom| whom == node));
        if is_ready {
            let late = |fault: &Fault| fault.severs && line.at > fault.begun_at + RED_WITHIN_US;
            if let Some(((name, _), fault)) = met.find(|(_, fault)| late(fault)) {
                let after = (line.at - fault.begun_at) / 1_000;
                report.add(Claim::ReadinessLie, &[fault.line, line.number], || {
                    format!("{node} says that it is ready {after} ms after {name} began")
                });
            }
        } else if met.next().is_none() {
            let since = [Some(node), None].into_iter().filter_map(|whom| self.well_since.get(&whom)).max();
            let Some((at, since)) = since.filter(|(at, _)| line.at > at + GREEN_WITHIN_US) else { return };
            let after = (line.at - at) / 1_000;
            report.add(Claim::ReadinessLie, &[*since, line.number], || {
                format!("{node} says that it is not ready {after} ms after all was well")
            });
        }
    }
}
