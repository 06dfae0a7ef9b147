//! Loki's logproto, the push part.

use super::Type::{Int32, Int64, Text, Uint64};
use super::{Message, Type, many, one};

pub(crate) static PUSH_REQUEST: Message =
    Message { name: "PushRequest", fields: &[many(1, "streams", Type::Message(&STREAM))] };

pub(crate) static STREAM: Message = Message {
    name: "StreamAdapter",
    fields: &[one(1, "labels", Text), many(2, "entries", Type::Message(&ENTRY)), one(3, "hash", Uint64)],
};

pub(crate) static ENTRY: Message = Message {
    name: "EntryAdapter",
    fields: &[
        one(1, "timestamp", Type::Message(&TIMESTAMP)),
        one(2, "line", Text),
        many(3, "structured_metadata", Type::Message(&LABEL_PAIR)),
    ],
};

static TIMESTAMP: Message =
    Message { name: "Timestamp", fields: &[one(1, "seconds", Int64), one(2, "nanos", Int32)] };

static LABEL_PAIR: Message =
    Message { name: "LabelPairAdapter", fields: &[one(1, "name", Text), one(2, "value", Text)] };
