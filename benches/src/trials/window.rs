//! What a probe has seen in one stretch of time.

use serde::Serialize;

use crate::load::percentile_us;

/// The most faults that are told; what follows is mostly more of the same.
const FAULTS_MAX: usize = 5;

/// One stretch of time, measured.
#[derive(Debug, Clone, Serialize)]
pub struct Window {
    /// What should not have happened, the first few.
    pub faults: Vec<String>,
    /// True if each publish was accepted and each reader got each message, in order.
    pub exact: bool,
    /// Publishes that were answered.
    pub published: usize,
    /// Messages received, all readers together.
    pub delivered: usize,
    /// From the first publish to the last delivery.
    pub seconds: f64,
    /// The server's CPU in that time.
    pub server_cpu_ms: f64,
    /// That CPU a publish, deliveries included.
    pub server_us_per_publish: f64,
    /// From just before a publish is written until a reader has it: the median.
    pub delivery_p50_us: f64,
    /// The same: 99 of 100 within this.
    pub delivery_p99_us: f64,
    /// The same: the longest.
    pub delivery_max_us: f64,
    /// Until a publish was answered: the median.
    pub answer_p50_us: f64,
    /// The same: 99 of 100 within this.
    pub answer_p99_us: f64,
    /// The same: the longest.
    pub answer_max_us: f64,
}

/// What is gathered during a window.
#[derive(Debug, Default)]
pub(super) struct Samples {
    pub(super) delivery_ns: Vec<u32>,
    pub(super) answer_ns: Vec<u32>,
    pub(super) faults: Faults,
}

/// What should not have happened: the first few of it.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<String>);

impl Faults {
    /// Notes one more.
    pub(super) fn note(&mut self, fault: impl FnOnce() -> String) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(fault());
        }
    }

    /// All that were noted.
    pub(super) fn into_inner(self) -> Vec<String> {
        self.0
    }
}

impl Window {
    /// The window of these samples, over so many seconds of which the server worked `cpu_ns`.
    pub(super) fn new(mut samples: Samples, seconds: f64, cpu_ns: u64) -> Window {
        samples.delivery_ns.sort_unstable();
        samples.answer_ns.sort_unstable();
        let faults = samples.faults.into_inner();
        let mut window = Window {
            exact: faults.is_empty(),
            faults,
            published: samples.answer_ns.len(),
            delivered: samples.delivery_ns.len(),
            seconds,
            server_cpu_ms: 0.0,
            server_us_per_publish: 0.0,
            delivery_p50_us: percentile_us(&samples.delivery_ns, 0.5),
            delivery_p99_us: percentile_us(&samples.delivery_ns, 0.99),
            delivery_max_us: percentile_us(&samples.delivery_ns, 1.0),
            answer_p50_us: percentile_us(&samples.answer_ns, 0.5),
            answer_p99_us: percentile_us(&samples.answer_ns, 0.99),
            answer_max_us: percentile_us(&samples.answer_ns, 1.0),
        };
        window.set_cpu(cpu_ns as f64 / 1e6);
        window
    }

    /// Takes out the CPU of what went on beside the publishes.
    pub(super) fn deduct(&mut self, cpu_ms: f64) {
        self.set_cpu((self.server_cpu_ms - cpu_ms).max(0.0));
    }

    fn set_cpu(&mut self, cpu_ms: f64) {
        self.server_cpu_ms = cpu_ms;
        self.server_us_per_publish = cpu_ms * 1e3 / self.published.max(1) as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tells_its_percentiles_and_the_cpu_of_a_publish() {
        let samples = Samples {
            delivery_ns: (1..=1001).rev().map(|us| us * 1000).collect(),
            answer_ns: vec![7000; 10],
            faults: Faults::default(),
        };
        let mut window = Window::new(samples, 1.0, 300_000);
        assert!(window.exact);
        assert_eq!((window.delivery_p50_us, window.delivery_p99_us), (501.0, 991.0));
        assert_eq!((window.delivery_max_us, window.answer_p99_us), (1001.0, 7.0));
        assert!((window.server_us_per_publish - 30.0).abs() < 1e-9);
        window.deduct(0.1);
        assert!((window.server_us_per_publish - 20.0).abs() < 1e-9);
    }
}
