//! Values by filter, and all those whose filter matches a topic.

use std::collections::BTreeMap;

use fanfare_protocol::{Filter, SEGMENTS_MAX};

/// A map from filters to values that finds all values whose filter matches a topic.
///
/// Filters without wildcards are one look-up; the others are a tree of segments, at most
/// [`SEGMENTS_MAX`] deep. The number of filters is bounded by who inserts.
#[derive(Debug)]
pub struct Trie<V> {
    exact: BTreeMap<Filter, V>,
    root: Node<V>,
    wildcards: usize,
}

#[derive(Debug)]
struct Node<V> {
    children: BTreeMap<Box<str>, Node<V>>,
    /// Below `*`.
    any: Option<Box<Node<V>>>,
    /// The filter that ends with `>` here.
    rest: Option<V>,
    /// The filter that ends here.
    end: Option<V>,
}

impl<V> Default for Trie<V> {
    fn default() -> Trie<V> {
        Trie { exact: BTreeMap::new(), root: Node::default(), wildcards: 0 }
    }
}

impl<V> Trie<V> {
    /// The value of a filter, made by `V::default()` if there was none.
    pub fn entry(&mut self, filter: &Filter) -> &mut V
    where
        V: Default,
    {
        if filter.is_topic() {
            return self.exact.entry(filter.clone()).or_default();
        }
        let slot = self.root.make_slot(filter.as_str().split('.'));
        if slot.is_none() {
            self.wildcards += 1;
        }
        slot.get_or_insert_with(V::default)
    }

    /// Takes a filter and its value out.
    pub fn remove(&mut self, filter: &Filter) -> Option<V> {
        if filter.is_topic() {
            return self.exact.remove(filter);
        }
        let value = self.root.remove(filter.as_str().split('.'));
        self.wildcards -= usize::from(value.is_some());
        value
    }

    /// The value of a filter, to change.
    pub fn get_mut(&mut self, filter: &Filter) -> Option<&mut V> {
        if filter.is_topic() {
            return self.exact.get_mut(filter);
        }
        self.root.slot_mut(filter.as_str().split('.'))?.as_mut()
    }

    /// How many filters there are.
    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcards
    }

    /// True if there is no filter.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows `visit` the value of each filter that matches `topic`, a checked name; each once.
    pub fn visit_matching<'a>(&'a self, topic: &str, visit: &mut impl FnMut(&'a V)) {
        if let Some(value) = self.exact.get(topic) {
            visit(value);
        }
        if self.wildcards == 0 {
            return;
        }
        let mut segments = [""; SEGMENTS_MAX];
        let mut count = 0;
        for segment in topic.split('.').take(SEGMENTS_MAX) {
            segments[count] = segment;
            count += 1;
        }
        self.root.visit_matching(&segments[..count], visit);
    }
}

impl<V> Default for Node<V> {
    fn default() -> Node<V> {
        Node { children: BTreeMap::new(), any: None, rest: None, end: None }
    }
}

impl<V> Node<V> {
    fn make_slot<'a>(&mut self, mut path: impl Iterator<Item = &'a str>) -> &mut Option<V> {
        match path.next() {
            None => &mut self.end,
            Some(">") => &mut self.rest,
            Some("*") => self.any.get_or_insert_default().make_slot(path),
            Some(segment) => {
                if !self.children.contains_key(segment) {
                    self.children.insert(segment.into(), Node::default());
                }
                self.children.get_mut(segment).expect("it was inserted above").make_slot(path)
            }
        }
    }

    fn slot_mut<'a>(&mut self, mut path: impl Iterator<Item = &'a str>) -> Option<&mut Option<V>> {
        match path.next() {
            None => Some(&mut self.end),
            Some(">") => Some(&mut self.rest),
            Some("*") => self.any.as_mut()?.slot_mut(path),
            Some(segment) => self.children.get_mut(segment)?.slot_mut(path),
        }
    }

    fn remove<'a>(&mut self, mut path: impl Iterator<Item = &'a str>) -> Option<V> {
        match path.next() {
            None => self.end.take(),
            Some(">") => self.rest.take(),
            Some("*") => {
                let child = self.any.as_mut()?;
                let value = child.remove(path);
                if child.is_empty() {
                    self.any = None;
                }
                value
            }
            Some(segment) => {
                let child = self.children.get_mut(segment)?;
                let value = child.remove(path);
                if child.is_empty() {
                    self.children.remove(segment);
                }
                value
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.rest.is_none() && self.end.is_none()
    }

    fn visit_matching<'a>(&'a self, topic: &[&str], visit: &mut impl FnMut(&'a V)) {
        let Some((segment, below)) = topic.split_first() else {
            self.end.iter().for_each(visit);
            return;
        };
        self.rest.iter().for_each(&mut *visit);
        if let Some(child) = self.children.get(*segment) {
            child.visit_matching(below, visit);
        }
        if let Some(child) = &self.any {
            child.visit_matching(below, visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    fn matching(trie: &Trie<String>, topic: &str) -> Vec<String> {
        let mut found = Vec::new();
        trie.visit_matching(topic, &mut |value| found.push(value.clone()));
        found.sort();
        found
    }

    const FILTERS: [&str; 10] = ["a", "a.b", "a.*", "*.b", "*", ">", "a.>", "*.*.c", "a.b.c", "a.*.>"];

    #[test]
    fn a_trie_finds_just_the_filters_that_match() {
        let mut trie = Trie::default();
        for text in FILTERS {
            *trie.entry(&filter(text)) = text.to_owned();
        }
        assert_eq!(trie.len(), FILTERS.len());
        for topic in ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "x.y.c", "a.b.c.d", "q.r.s.t"] {
            let mut expected: Vec<String> = FILTERS
                .iter()
                .filter(|text| filter(text).matches(topic))
                .map(|text| text.to_string())
                .collect();
            expected.sort();
            assert_eq!(matching(&trie, topic), expected, "{topic}");
        }
    }

    #[test]
    fn removed_filters_leave_nothing_behind() {
        let mut trie: Trie<u32> = Trie::default();
        for text in FILTERS {
            *trie.entry(&filter(text)) += 1;
        }
        for text in FILTERS {
            assert_eq!(trie.remove(&filter(text)), Some(1), "{text}");
            assert_eq!(trie.remove(&filter(text)), None, "{text}");
            assert_eq!(trie.get_mut(&filter(text)), None, "{text}");
        }
        assert!(trie.is_empty());
        assert!(trie.root.is_empty());
    }
}
