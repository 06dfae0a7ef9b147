//! Patterns of log lines and of names of spans: what is left when all that varies is `<_>`.
//!
//! A plugin is a pure function of rows, so there is no tree that grows while lines come
//! in. Instead there are two steps, and both give the same answer wherever they run:
//!
//! 1. [`Patterns::of`] looks at one line. A pattern of the configuration that fits is the
//!    answer; else numbers, ids, addresses, times and quoted words are masked ([`mask`]).
//! 2. [`Sketch`] collects masked lines and their numbers, in any order and any number of
//!    parts, and [`Sketch::mine`] runs Drain over them: a tree of fixed depth, by number of
//!    words and first words, whose leaves are patterns that are alike. What is mined of
//!    history can be given to step 1 as its configuration, so that words which vary, such as
//!    names of users, are masked in counters, too.
//!
//! Names of spans have the same two steps ([`mask_name`], [`NamePattern`]; [`Sketch::mine_names`]).

mod drain;
mod known;
mod mask;
mod names;
mod sketch;

use isinglass_plugin::Config;

pub use drain::Pattern;
pub use mask::mask;
pub use names::{NamePattern, mask_name};
pub use sketch::Sketch;

use crate::known::Known;

/// What stands for all that varies, as in LogQL's pattern filters.
pub const ANY: &str = "<_>";

/// The pattern of lines that none of the configuration fits, with `only_known`.
pub const OTHER: &str = "<other>";

/// JSON Schema of the configuration of both plugins.
pub const CONFIG_SCHEMA: &str = include_str!("config.schema.json");

/// Patterns of one configuration.
const KNOWN_MAX: usize = 200;

/// The configuration.
#[derive(Debug, Default)]
pub struct Patterns {
    known: Vec<Known>,
    only_known: bool,
}

impl Patterns {
    /// Reads the configuration.
    pub fn read(mut config: Config) -> Result<Self, String> {
        let texts = config.texts("patterns")?;
        if texts.len() > KNOWN_MAX {
            return Err(config.fault_of("patterns", "has more than 200 entries"));
        }
        let known = texts
            .into_iter()
            .map(|text| Known::read(text).map_err(|what| config.fault_of("patterns", &what)));
        let known = known.collect::<Result<_, _>>()?;
        let only_known = config.boolean("only_known", false)?;
        config.finish()?;
        Ok(Self { known, only_known })
    }

    /// Writes the pattern of a line.
    pub fn of(&self, line: &str, pattern: &mut String) {
        pattern.clear();
        match self.known.iter().find(|known| known.fits(line)) {
            Some(known) => pattern.push_str(known.text()),
            None if self.only_known => pattern.push_str(OTHER),
            None => mask(line, pattern),
        }
    }
}

#[cfg(test)]
mod tests;
