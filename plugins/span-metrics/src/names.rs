//! Names of spans without what differs from span to span, such as the numbers of orders.
//!
//! A plugin is a pure function of a batch, so that there is no tree that learns from the names seen so
//! far, as Drain has: a name becomes a pattern of the configuration, which may have been mined by Drain
//! from what is stored, or its tokens are replaced for what they look like. The same name always
//! becomes the same, whatever came before.

use std::borrow::Cow;

use isinglass_plugin::{Config, Deltas, Dictionary, Groups, Keys, host};
use pattern_mining::{NamePattern, mask_name};

/// Patterns of one configuration.
const PATTERNS_MAX: usize = 200;

/// What becomes of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sanitizing {
    Off,
    /// Names stay; spans whose name would change are counted.
    DryRun,
    On,
}

/// What becomes of which names.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sanitizer {
    sanitizing: Sanitizing,
    patterns: Vec<NamePattern>,
}

impl Sanitizer {
    pub(crate) fn read(config: &mut Config) -> Result<Self, String> {
        let sanitizing = match config.text("span_name_sanitizing")?.as_deref() {
            None | Some("off") => Sanitizing::Off,
            Some("dry-run") => Sanitizing::DryRun,
            Some("on") => Sanitizing::On,
            Some(other) => {
                return Err(format!("span_name_sanitizing is \"{other}\", not off, dry-run or on"));
            }
        };
        let patterns = config.texts("span_name_patterns")?;
        if !patterns.is_empty() && sanitizing == Sanitizing::Off {
            return Err("span_name_patterns are used only with span_name_sanitizing".to_owned());
        }
        if patterns.len() > PATTERNS_MAX {
            let count = patterns.len();
            return Err(format!("span_name_patterns has {count} entries, the limit is {PATTERNS_MAX}"));
        }
        let read = |text| NamePattern::read(text).map_err(|fault| format!("span_name_patterns {fault}"));
        Ok(Self { sanitizing, patterns: patterns.into_iter().map(read).collect::<Result<_, _>>()? })
    }

    fn sanitized(&self, name: &str) -> Cow<'_, str> {
        match self.patterns.iter().find(|pattern| pattern.fits(name)) {
            Some(pattern) => Cow::Borrowed(pattern.text()),
            None => Cow::Owned(mask_name(name)),
        }
    }
}

/// The names of a batch as labels.
#[derive(Debug)]
pub(crate) enum Names<'a> {
    AsTheyAre(Dictionary<'a>),
    Sanitized {
        column: Dictionary<'a>,
        /// By key of the column.
        texts: Vec<Cow<'a, str>>,
        /// A number per row: the same for the same text.
        ids: Vec<u32>,
    },
}

impl<'a> Names<'a> {
    pub(crate) fn of(column: Dictionary<'a>, sanitizer: &'a Sanitizer) -> Self {
        if sanitizer.sanitizing == Sanitizing::Off {
            return Self::AsTheyAre(column);
        }
        let texts = column.per_distinct(|name| sanitizer.sanitized(name));
        let changed: Vec<bool> = column.distinct().iter().zip(&texts).map(|(from, to)| from != to).collect();
        let count = column.keys().iter().filter(|key| changed[**key as usize]).count();
        if count > 0 {
            host::count("sanitized_span_names", count as u64);
        }
        let mut known: Vec<(&str, u32)> = (0..).zip(&texts).map(|(key, text)| (&**text, key)).collect();
        known.sort_unstable();
        host::count("span_names", texts.len() as u64);
        host::count("span_names_sanitized", known.chunk_by(|one, other| one.0 == other.0).count() as u64);
        if sanitizer.sanitizing == Sanitizing::DryRun || count == 0 {
            return Self::AsTheyAre(column);
        }
        let mut id_of_key = vec![0; texts.len()];
        for same in known.chunk_by(|one, other| one.0 == other.0) {
            same.iter().for_each(|(_, key)| id_of_key[*key as usize] = same[0].1);
        }
        let ids = column.keys().iter().map(|key| id_of_key[*key as usize]).collect();
        Self::Sanitized { column, texts, ids }
    }

    /// To group by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match self {
            Self::AsTheyAre(column) => (*column).into(),
            Self::Sanitized { texts, ids, .. } => Keys::new(ids, texts.len() as u64),
        }
    }

    /// Adds the label.
    pub(crate) fn label(&self, deltas: &mut Deltas, groups: &Groups) {
        match self {
            Self::AsTheyAre(column) => deltas.label("span_name", *column, groups),
            Self::Sanitized { column, texts, .. } => {
                // Once per distinct value, in their order.
                let mut texts = texts.iter();
                deltas
                    .renamed_label("span_name", *column, groups, |_| texts.next().map_or("", |text| &**text));
            }
        }
    }
}
