//! The fields of a JSON object, nested ones under names with dots, found without
//! an object or a copy of a value.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::value::Any;

/// An object nested deeper than this stays JSON text.
const DEPTH_MAX: usize = 8;
/// Bytes of a name, with those of the objects around it.
const KEY_BYTES_MAX: usize = 512;

/// Fields of one line.
#[derive(Default)]
pub(super) struct Fields {
    keys: String,
    places: Vec<Place>,
}

/// A name in `keys`, a value in the line.
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

/// One field.
#[derive(Clone, Copy)]
pub(super) struct Field<'k, 'l> {
    pub(super) key: &'k str,
    /// JSON that was checked.
    raw: &'l str,
}

impl Fields {
    /// Finds the fields of `line`. `false` if it is no object, has more than
    /// `fields_max` of them, none at all, one of a name that is empty or too
    /// long, or two of the same name.
    pub(super) fn read(&mut self, line: &str, fields_max: usize) -> bool {
        self.keys.clear();
        self.places.clear();
        let walk = Walk { fields: self, line, prefix: 0..0, depth: 0, fields_max };
        walk.object(line).is_ok() && !self.places.is_empty() && self.distinct()
    }

    pub(super) fn iter<'l>(&self, line: &'l str) -> impl Iterator<Item = Field<'_, 'l>> {
        self.places
            .iter()
            .map(move |place| Field { key: &self.keys[place.key.clone()], raw: &line[place.value.clone()] })
    }

    fn distinct(&self) -> bool {
        let key = |place: &Place| &self.keys[place.key.clone()];
        self.places
            .iter()
            .enumerate()
            .all(|(at, place)| self.places[..at].iter().all(|other| key(other) != key(place)))
    }
}

impl<'l> Field<'_, 'l> {
    /// The value if it is text; a half surrogate is none.
    pub(super) fn text(&self) -> Option<Cow<'l, str>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str::<String>(self.raw).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The value if it is no text. A number that is not whole keeps its digits.
    pub(super) fn other(&self) -> Any<'l> {
        match self.raw {
            "null" => Any::Empty,
            "true" => Any::Bool(true),
            "false" => Any::Bool(false),
            "-0" => Any::Json(self.raw),
            raw => raw.parse().map_or(Any::Json(raw), Any::Int),
        }
    }
}

/// On the way through one object.
struct Walk<'f, 'l> {
    fields: &'f mut Fields,
    line: &'l str,
    /// The name of this object in `keys`.
    prefix: Range<usize>,
    depth: usize,
    fields_max: usize,
}

impl<'l> Walk<'_, 'l> {
    /// Reads `text`, a part of the line.
    fn object(self, text: &'l str) -> serde_json::Result<()> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_map(self)?;
        json.end()
    }

    fn field(&mut self, key: Range<usize>, value: &'l str) -> serde_json::Result<()> {
        if value.starts_with('{') && self.depth < DEPTH_MAX {
            let before = self.fields.places.len();
            let walk = Walk {
                fields: &mut *self.fields,
                line: self.line,
                prefix: key.clone(),
                depth: self.depth + 1,
                fields_max: self.fields_max,
            };
            walk.object(value)?;
            if self.fields.places.len() > before {
                return Ok(());
            }
        }
        if self.fields.places.len() == self.fields_max {
            return Err(serde_json::Error::custom("too many fields"));
        }
        // The value is a part of the line, so this is where it begins.
        let start = value.as_ptr() as usize - self.line.as_ptr() as usize;
        self.fields.places.push(Place { key, value: start..start + value.len() });
        Ok(())
    }
}

impl<'l> Visitor<'l> for Walk<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            let name = Name { keys: &mut self.fields.keys, prefix: self.prefix.clone() };
            let Some(key) = map.next_key_seed(name)? else { return Ok(()) };
            let value: &RawValue = map.next_value()?;
            self.field(key, value.get()).map_err(A::Error::custom)?;
        }
    }
}

/// Writes a name behind the others, with that of its object before it.
struct Name<'k> {
    keys: &'k mut String,
    prefix: Range<usize>,
}

impl<'l> DeserializeSeed<'l> for Name<'_> {
    type Value = Range<usize>;

    fn deserialize<D: serde::Deserializer<'l>>(self, deserializer: D) -> Result<Range<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Range<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Range<usize>, E> {
        let start = self.keys.len();
        if !self.prefix.is_empty() {
            self.keys.extend_from_within(self.prefix);
            self.keys.push('.');
        }
        self.keys.push_str(name);
        let key = start..self.keys.len();
        if name.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(E::custom("a name that cannot be a key"));
        }
        Ok(key)
    }
}
