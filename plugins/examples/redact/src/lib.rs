//! Takes out what must not be stored, before anything is: a transformer.
//!
//! ```json
//! {
//!   "keys": ["user.email", "password"], "prefixes": ["secret."], "emails": true, "mask": "***",
//!   "remove": ["internal.debug"], "rename": ["usr=user.id"], "drop_spans": ["GET /healthz"]
//! }
//! ```
//!
//! - `keys` and `prefixes`: the values of these attributes and labels become the mask, wherever
//!   they are: items, resources, scopes, events, links, series, and labels of log streams;
//! - `emails`: what looks like an address becomes the mask in log lines, names and status
//!   messages of spans, and in all values;
//! - `remove`: attributes and labels that go; `rename`: those that are called otherwise
//!   (not the labels of log streams);
//! - `drop_spans`: spans of these names go.

mod emails;
mod streams;

use isinglass_plugin::{
    Batch, Config, Dictionary, Edits, Encoding, Offsets, Pairs, Plugin, Request, Shape, Text, Transformer,
    View as _, export_transformer, json_text,
};

/// Longest mask.
const MASK_BYTES_MAX: usize = 64;
/// Slots of keys and values: three for each sort and shape.
const PAIRS: u16 = 1_024;
/// Slots of columns of text.
const TEXTS: u16 = 2_048;

/// Keys and values by shape.
const SORTS: [(Shape, &[Pairs]); 3] = [
    (Shape::Logs, &[Pairs::Attributes, Pairs::Resource, Pairs::Scope]),
    (Shape::Spans, &[Pairs::Attributes, Pairs::Resource, Pairs::Scope, Pairs::Events, Pairs::Links]),
    (Shape::Series, &[Pairs::Labels]),
];

/// Columns of text in which addresses may stand. The first has hardly a value twice.
const COLUMNS: [(Shape, &str); 4] = [
    (Shape::Logs, "body"),
    (Shape::Logs, "stream"),
    (Shape::Spans, "name"),
    (Shape::Spans, "status_message"),
];

/// The plugin.
#[derive(Debug)]
pub struct Redact {
    keys: Vec<String>,
    prefixes: Vec<String>,
    emails: bool,
    mask: String,
    remove: Vec<String>,
    rename: Vec<(String, String)>,
    drop_spans: Vec<String>,
}

impl Plugin for Redact {
    const NAME: &'static str = "redact";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    // What is wanted depends on the configuration.
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(mut config: Config) -> Result<Self, String> {
        let pair = |text: String| match text.split_once('=') {
            Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
            _ => Err(format!("rename: {text} is not of the form old=new")),
        };
        let plugin = Self {
            keys: config.texts("keys")?,
            prefixes: config.texts("prefixes")?,
            emails: config.boolean("emails", false)?,
            mask: config.text("mask")?.unwrap_or_else(|| "***".to_owned()),
            remove: config.texts("remove")?,
            rename: config.texts("rename")?.into_iter().map(pair).collect::<Result<_, _>>()?,
            drop_spans: config.texts("drop_spans")?,
        };
        config.finish()?;
        let plain = |c: char| !c.is_control() && c != '"' && c != '\\';
        if plugin.mask.is_empty() || plugin.mask.len() > MASK_BYTES_MAX || !plugin.mask.chars().all(plain) {
            return Err(format!("mask must be 1 to {MASK_BYTES_MAX} bytes without quotes and backslashes"));
        }
        Ok(plugin)
    }

    fn further_requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut ask = |shape, slot, name: String, encoding| {
            requests.push(Request { shape, slot, name: name.into(), encoding, optional: true });
        };
        for (shape, sorts) in SORTS {
            for of in sorts.iter().filter(|_| self.looks_at_pairs()) {
                let (slot, prefix) = (slot_of(*of), of.prefix());
                let key = if *of == Pairs::Labels { "name" } else { "key" };
                ask(shape, slot, format!("{prefix}.offsets"), Encoding::Values);
                ask(shape, slot + 1, format!("{prefix}.{key}"), Encoding::Dictionary);
                if self.emails {
                    ask(shape, slot + 2, format!("{prefix}.value"), Encoding::Values);
                }
            }
        }
        for (at, (shape, column)) in (TEXTS..).zip(COLUMNS) {
            let by_key = column == "stream" && self.looks_at_keys();
            let by_name = column == "name" && !self.drop_spans.is_empty();
            if self.emails || by_key || by_name {
                let encoding = if column == "body" { Encoding::Values } else { Encoding::Dictionary };
                ask(shape, at, column.to_owned(), encoding);
            }
        }
        requests
    }
}

fn slot_of(of: Pairs) -> u16 {
    PAIRS + 4 * of as u16
}

impl Redact {
    fn looks_at_keys(&self) -> bool {
        !self.keys.is_empty() || !self.prefixes.is_empty()
    }

    fn looks_at_pairs(&self) -> bool {
        self.emails || self.looks_at_keys() || !self.remove.is_empty() || !self.rename.is_empty()
    }

    fn is_masked(&self, key: &str) -> bool {
        self.keys.iter().any(|masked| masked == key)
            || self.prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
    }

    /// Asks once per distinct key, and looks at entries only where one is meant.
    fn redact_pairs(&self, batch: &Batch, of: Pairs, edits: &mut Edits) {
        let slot = slot_of(of);
        let Some(keys) = Dictionary::read(batch, slot + 1) else { return };
        let mask = if of == Pairs::Labels { self.mask.clone() } else { json_text(&self.mask) };
        keys.rows_where(|key| self.remove.iter().any(|gone| gone == key), |at, _| edits.pairs(of).remove(at));
        for (old, new) in &self.rename {
            keys.rows_where(|key| key == old, |at, _| edits.pairs(of).rename(at, new));
        }
        if self.emails
            && let (Some(offsets), Some(values)) = (Offsets::read(batch, slot), Text::read(batch, slot + 2))
        {
            let count = offsets.ranges().last().map_or(0, |range| range.end);
            for entry in 0..count {
                if let Some(text) = values.get(entry).and_then(|text| emails::masked(text, &self.mask)) {
                    edits.pairs(of).change(entry, &text);
                }
            }
        }
        keys.rows_where(|key| self.is_masked(key), |at, _| edits.pairs(of).change(at, &mask));
    }

    fn redact_text(&self, column: &str, text: &str) -> Option<String> {
        let by_key = match column {
            "stream" if self.looks_at_keys() => streams::masked(text, |key| self.is_masked(key), &self.mask),
            _ => None,
        };
        let now = by_key.as_deref().unwrap_or(text);
        let by_look = if self.emails { emails::masked(now, &self.mask) } else { None };
        by_look.or(by_key)
    }
}

impl Transformer for Redact {
    fn transform(&self, batch: &Batch, edits: &mut Edits) {
        let sorts = SORTS.iter().find(|(shape, _)| *shape == batch.shape).map_or(&[][..], |(_, sorts)| sorts);
        sorts.iter().for_each(|of| self.redact_pairs(batch, *of, edits));
        for (slot, (_, column)) in (TEXTS..).zip(COLUMNS).filter(|(_, (shape, _))| *shape == batch.shape) {
            if let Some(lines) = Text::read(batch, slot) {
                for row in 0..batch.rows {
                    if let Some(text) = lines.get(row).and_then(|line| self.redact_text(column, line)) {
                        edits.text(column).set(row, &text);
                    }
                }
            } else if let Some(words) = Dictionary::read(batch, slot) {
                if column == "name" {
                    words.rows_where(
                        |name| self.drop_spans.iter().any(|dropped| dropped == name),
                        |row, name| {
                            edits.drop_row(row, "span_name", || format!("spans {name} are not wanted"))
                        },
                    );
                }
                let redacted = words.per_distinct(|word| self.redact_text(column, word));
                if redacted.iter().any(Option::is_some) {
                    for row in (0..batch.rows).filter(|row| words.validity().is_valid(*row)) {
                        if let Some(text) = &redacted[words.keys()[row] as usize] {
                            edits.text(column).set(row, text);
                        }
                    }
                }
            }
        }
    }
}

export_transformer!(Redact);

#[cfg(test)]
mod tests;
