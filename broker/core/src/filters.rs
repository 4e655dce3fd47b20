//! Several filters that are followed as one.

use std::ops::Deref;

use fanfare_protocol::Filter;

/// At least one filter, each once and in order of name; a topic matches if one of them does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters(Box<[Filter]>);

impl Filters {
    /// These filters, each once; `None` if there is none.
    pub fn new(mut filters: Vec<Filter>) -> Option<Filters> {
        filters.sort_unstable();
        filters.dedup();
        (!filters.is_empty()).then(|| Filters(filters.into_boxed_slice()))
    }

    /// True if one of them matches `topic`, a checked name.
    pub fn matches(&self, topic: &str) -> bool {
        self.iter().any(|filter| filter.matches(topic))
    }

    /// True if none has a wildcard.
    pub(crate) fn are_topics(&self) -> bool {
        self.iter().all(Filter::is_topic)
    }
}

impl From<Filter> for Filters {
    fn from(filter: Filter) -> Filters {
        Filters(Box::new([filter]))
    }
}

impl Deref for Filters {
    type Target = [Filter];

    fn deref(&self) -> &[Filter] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_is_there_once_and_one_that_matches_is_enough() {
        let filters = ["b.*", "a", "b.*"].map(|filter| Filter::parse(filter).unwrap());
        let filters = Filters::new(filters.to_vec()).unwrap();
        assert_eq!(filters.iter().map(Filter::as_str).collect::<Vec<_>>(), ["a", "b.*"]);
        assert!(filters.matches("a") && filters.matches("b.c") && !filters.matches("b"));
        assert!(!filters.are_topics() && Filters::from(filters[0].clone()).are_topics());
        assert_eq!(Filters::new(Vec::new()), None);
    }
}
