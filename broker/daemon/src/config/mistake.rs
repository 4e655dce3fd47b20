//! What is wrong with a configuration, and where.

use std::fmt;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file and line, or the variable.
    pub place: String,
    /// The key, what was found, and what would do.
    pub reason: String,
}

/// Why the broker can't start with this configuration: every mistake that was found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The mistakes in the order of their places.
    pub mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// The error of one mistake.
    pub(super) fn one(place: &str, reason: String) -> ConfigError {
        ConfigError { mistakes: vec![Mistake { place: place.to_owned(), reason }] }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.mistakes.as_slice() {
            return only.fmt(f);
        }
        write!(f, "the configuration has {} mistakes", self.mistakes.len())?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for ConfigError {}
