//! `fanfare check`: the configuration in effect, or everything that is wrong with it.

use std::io::Write;
use std::path::Path;

use clap::Args;

use super::ServeFlags;
use crate::config::{Effective, example};

/// The flags of `fanfare check`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct CheckFlags {
    /// The flags that `serve` would be given.
    #[command(flatten)]
    pub serve: ServeFlags,
    /// Print a configuration file with every key at its default, explained.
    #[arg(long, exclusive = true)]
    pub example: bool,
}

/// Writes to `out` the configuration that `serve` would have, as a file with the source of each value.
pub fn check(
    flags: &CheckFlags,
    environment: impl Iterator<Item = (String, String)>,
    working_dir: &Path,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    if flags.example {
        write!(out, "{}", example())?;
    } else {
        write!(out, "{}", Effective::load(&flags.serve, environment, working_dir)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(example: bool, variables: &[(&str, &str)]) -> Result<String, String> {
        let flags = CheckFlags { example, ..CheckFlags::default() };
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut out = Vec::new();
        let nowhere = Path::new("/no such folder");
        match check(&flags, variables, nowhere, &mut out) {
            Ok(()) => Ok(String::from_utf8(out).unwrap()),
            Err(error) => {
                assert_eq!(out, b"", "a mistake stands alone");
                Err(error.to_string())
            }
        }
    }

    #[test]
    fn either_the_whole_configuration_is_printed_or_all_that_is_wrong_with_it() {
        let shown = printed(false, &[("FANFARE__WORKERS", "2")]).unwrap();
        assert!(shown.contains("# variable FANFARE__WORKERS\n") && shown.contains("# default\n"), "{shown}");
        let told = printed(false, &[("FANFARE__WORKERS", "x"), ("FANFARE__LISTEN", "x")]).unwrap_err();
        assert!(told.contains("2 mistakes\n  FANFARE__LISTEN: "), "{told}");
        assert!(told.contains("\n  FANFARE__WORKERS: "), "{told}");
    }

    #[test]
    fn the_example_is_printed_whatever_is_configured() {
        assert_eq!(printed(true, &[("FANFARE__WORKERS", "x")]), Ok(example()));
    }
}
