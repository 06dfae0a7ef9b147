//! Loki's own JSON to `PushRequest`:
//! `{"streams": [{"stream": {"a": "b"}, "values": [["<ns>", "line", {"k": "v"}]]}]}`.

use std::fmt;

use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::DecodeError;
use crate::labels_text::write_quoted;
use crate::schema::Json;

/// Writes `body` as protobuf.
pub(crate) fn transcode(what: &'static str, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Json::read(what, body, |json, reader| reader.deserialize_map(Request(json)))
}

struct Request<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Request<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"streams\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Name>()? {
            match key {
                Name::Streams => {
                    self.0.enter("streams");
                    map.next_value_seed(Streams(&mut *self.0))?;
                    self.0.leave();
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The names that count.
#[derive(serde::Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Name {
    Streams,
    Stream,
    Values,
    #[serde(other)]
    Other,
}

/// Makes a visitor of one kind of JSON value a seed.
macro_rules! seed {
    ($($ty:ident $deserialize:ident,)*) => {$(
        impl<'de> DeserializeSeed<'de> for $ty<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.$deserialize(self)
            }
        }
    )*};
}

seed! {
    Streams deserialize_seq,
    Stream deserialize_map,
    Labels deserialize_map,
    Values deserialize_seq,
    Entry deserialize_seq,
    Time deserialize_any,
    Line deserialize_str,
    Metadata deserialize_map,
}

struct Streams<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Streams<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of streams")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.0.enter_index(index);
            let more = list.next_element_seed(Stream(&mut *self.0))?;
            self.0.leave();
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }
}

struct Stream<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Stream<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"stream\" and \"values\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let open = self.0.out.open(1);
        while let Some(key) = map.next_key::<Name>()? {
            match key {
                Name::Stream => {
                    self.0.enter("stream");
                    map.next_value_seed(Labels(&mut *self.0))?;
                    self.0.leave();
                }
                Name::Values => {
                    self.0.enter("values");
                    map.next_value_seed(Values(&mut *self.0))?;
                    self.0.leave();
                }
                Name::Streams | Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        self.0.out.close(open);
        Ok(())
    }
}

/// The labels of a stream, written as a selector.
struct Labels<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Labels<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut selector = String::from("{");
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if selector.len() > 1 {
                selector.push(',');
            }
            selector.push_str(&name);
            selector.push('=');
            write_quoted(&mut selector, &value);
        }
        selector.push('}');
        self.0.out.bytes_field(1, selector.as_bytes());
        Ok(())
    }
}

struct Values<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            self.0.enter_index(index);
            let more = list.next_element_seed(Entry(&mut *self.0))?;
            self.0.leave();
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }
}

struct Entry<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Entry<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[time, line] or [time, line, structured metadata]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let open = self.0.out.open(2);
        let short = |len, this: &dyn de::Expected| <A::Error as de::Error>::invalid_length(len, this);
        if list.next_element_seed(Time(&mut *self.0))?.is_none() {
            return Err(short(0, &"[time, line]"));
        }
        if list.next_element_seed(Line(&mut *self.0))?.is_none() {
            return Err(short(1, &"[time, line]"));
        }
        if list.next_element_seed(Metadata(&mut *self.0))?.is_some() {
            while list.next_element::<IgnoredAny>()?.is_some() {}
        }
        self.0.out.close(open);
        Ok(())
    }
}

/// Nanoseconds, as text or as a number.
struct Time<'j>(&'j mut Json);

impl Visitor<'_> for Time<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nanoseconds as text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        let time = text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))?;
        self.visit_i64(time)
    }

    fn visit_u64<E: de::Error>(self, time: u64) -> Result<(), E> {
        let time =
            i64::try_from(time).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(time), &self))?;
        self.visit_i64(time)
    }

    fn visit_i64<E: de::Error>(self, time: i64) -> Result<(), E> {
        let out = &mut self.0.out;
        let open = out.open(1);
        let (seconds, nanos) = (time.div_euclid(1_000_000_000), time.rem_euclid(1_000_000_000));
        if seconds != 0 {
            out.varint_field(1, seconds.cast_unsigned());
        }
        if nanos != 0 {
            out.varint_field(2, nanos.cast_unsigned());
        }
        out.close(open);
        Ok(())
    }
}

struct Line<'j>(&'j mut Json);

impl Visitor<'_> for Line<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the line as text")
    }

    fn visit_str<E: de::Error>(self, line: &str) -> Result<(), E> {
        if !line.is_empty() {
            self.0.out.bytes_field(2, line.as_bytes());
        }
        Ok(())
    }
}

struct Metadata<'j>(&'j mut Json);

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of structured metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            let out = &mut self.0.out;
            let open = out.open(3);
            out.bytes_field(1, name.as_bytes());
            out.bytes_field(2, value.as_bytes());
            out.close(open);
        }
        Ok(())
    }
}
