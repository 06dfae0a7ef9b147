//! Which spans are counted.

use isinglass_plugin::{Batch, Column, Config, Data, Dictionary, Request, TextData};

use crate::Spans;
use crate::attributes::{Values, request};
use crate::matching::{MatchType, Pattern};

const SLOT: u16 = 8_192;
const CONDITIONS_MAX: usize = 32;

/// A span is counted if every policy lets it: if it matches all of `include`, one of
/// `include_any`, and not all of `exclude`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policy {
    include: Vec<Condition>,
    include_any: Vec<Condition>,
    exclude: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    key: Key,
    pattern: Pattern,
}

#[derive(Debug, Clone, PartialEq)]
enum Key {
    Kind,
    Status,
    Name,
    /// A column of the catalogue.
    Column(String),
}

impl Policy {
    pub(crate) fn read(mut config: Config) -> Result<Self, String> {
        let mut part = |key: &'static str| config.object(key)?.map_or(Ok(Vec::new()), conditions);
        let policy =
            Self { include: part("include")?, include_any: part("include_any")?, exclude: part("exclude")? };
        config.finish()?;
        Ok(policy)
    }

    /// How many of its values are regular expressions.
    pub(crate) fn regexes(&self) -> usize {
        self.conditions().filter(|condition| matches!(condition.pattern, Pattern::Regex(_))).count()
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.include.iter().chain(&self.include_any).chain(&self.exclude)
    }
}

fn conditions(mut config: Config) -> Result<Vec<Condition>, String> {
    let match_type = MatchType::read(config.text("match_type")?.as_deref())?;
    let attributes = config.objects("attributes")?;
    config.finish()?;
    if attributes.is_empty() || attributes.len() > CONDITIONS_MAX {
        return Err(format!("attributes of a policy are {}, not 1 to {CONDITIONS_MAX}", attributes.len()));
    }
    let condition = |mut config: Config| {
        let key = config.text("key")?.ok_or("a key of filter_policies is missing")?;
        let value = config.plain("value")?.ok_or("a value of filter_policies is missing")?;
        config.finish()?;
        Ok(Condition { key: Key::of(&key), pattern: Pattern::read(value, match_type)? })
    };
    attributes.into_iter().map(condition).collect()
}

impl Key {
    fn of(key: &str) -> Self {
        match key {
            "kind" => Self::Kind,
            "status" => Self::Status,
            "name" => Self::Name,
            key => Self::Column(match (key.strip_prefix("resource."), key.strip_prefix("span.")) {
                (Some(key), _) => format!("resource:{key}"),
                (_, Some(key)) => format!("own:{key}"),
                _ => format!("any:{key}"),
            }),
        }
    }
}

/// What to ask for.
pub(crate) fn requests(policies: &[Policy]) -> Vec<Request> {
    let slots = SLOT..;
    let conditions = slots.zip(policies.iter().flat_map(Policy::conditions));
    let column = |(slot, condition): (u16, &Condition)| match &condition.key {
        Key::Column(name) => Some(request(slot, name.clone())),
        _ => None,
    };
    conditions.filter_map(column).collect()
}

/// The rows of a batch that are counted; `None` = all.
pub(crate) fn kept(policies: &[Policy], batch: &Batch) -> Option<Vec<u32>> {
    if policies.is_empty() {
        return None;
    }
    let spans = Spans::of(batch);
    let mut keep = vec![true; spans.rows];
    let mut slot = SLOT;
    for policy in policies {
        let mut answers = |conditions: &[Condition], all: bool| {
            let mut matched = vec![all; spans.rows];
            for condition in conditions {
                let one = condition.answer(batch, &spans, slot);
                slot += 1;
                matched
                    .iter_mut()
                    .zip(one)
                    .for_each(|(sum, one)| *sum = if all { *sum && one } else { *sum || one });
            }
            matched
        };
        let include = answers(&policy.include, true);
        let any = answers(&policy.include_any, false);
        let exclude = answers(&policy.exclude, true);
        for (row, keep) in keep.iter_mut().enumerate() {
            *keep &= include[row]
                && (policy.include_any.is_empty() || any[row])
                && (policy.exclude.is_empty() || !exclude[row]);
        }
    }
    let rows = (0..).zip(&keep).filter(|(_, keep)| **keep).map(|(row, _)| row);
    keep.contains(&false).then(|| rows.collect())
}

impl Condition {
    /// Whether each row matches.
    fn answer(&self, batch: &Batch, spans: &Spans<'_>, slot: u16) -> Vec<bool> {
        let of = |column: Dictionary<'_>, long: fn(&str) -> &'static str| {
            Values::Text(column)
                .per_row(spans.rows, false, |text| self.pattern.fits(text) || self.pattern.fits(long(text)))
        };
        match self.key {
            Key::Kind => of(spans.kind, crate::span_kind),
            Key::Status => of(spans.status, crate::status_code),
            Key::Name => Values::Text(spans.name).per_row(spans.rows, false, |text| self.pattern.fits(text)),
            Key::Column(_) => match Values::read(batch, slot) {
                Some(values) => values.per_row(spans.rows, false, |text| self.pattern.fits(text)),
                None => vec![false; spans.rows],
            },
        }
    }
}

/// Some rows of a batch whose columns have an entry per row.
pub(crate) fn take(batch: &Batch, rows: &[u32]) -> Batch {
    let column = |column: &Column| {
        let bits = column.validity.as_ref().map(|bits| {
            let mut taken = vec![0_u8; rows.len().div_ceil(8)];
            for (to, from) in rows.iter().map(|row| *row as usize).enumerate() {
                taken[to / 8] |= (bits[from / 8] >> (from % 8) & 1) << (to % 8);
            }
            taken
        });
        Column { slot: column.slot, validity: bits, data: data(&column.data, rows) }
    };
    Batch { shape: batch.shape, rows: rows.len(), columns: batch.columns.iter().map(column).collect() }
}

fn data(data: &Data, rows: &[u32]) -> Data {
    fn of<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
        rows.iter().map(|row| values[*row as usize]).collect()
    }
    match data {
        Data::Bytes(values) => Data::Bytes(of(values, rows)),
        Data::U32(values) => Data::U32(of(values, rows)),
        Data::I64(values) => Data::I64(of(values, rows)),
        Data::F64(values) => Data::F64(of(values, rows)),
        Data::Fixed { width, data } => {
            let wide = *width as usize;
            let bytes = rows.iter().flat_map(|row| &data[*row as usize * wide..][..wide]).copied().collect();
            Data::Fixed { width: *width, data: bytes }
        }
        Data::Dictionary { keys, values } => {
            Data::Dictionary { keys: of(keys, rows), values: values.clone() }
        }
        // This plugin asks for neither.
        Data::Text(_) | Data::Offsets(_) => Data::Text(TextData::default()),
    }
}
