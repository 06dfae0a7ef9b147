//! Bodies, written field by field.

use crate::wire::{Writer, zigzag};

/// A message under construction.
#[derive(Default)]
pub(super) struct Proto(Writer);

/// An empty message.
pub(super) fn message() -> Proto {
    Proto::default()
}

impl Proto {
    pub(super) fn bytes(mut self, number: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.0.bytes_field(number, bytes.as_ref());
        self
    }

    pub(super) fn varint(mut self, number: u32, value: u64) -> Self {
        self.0.varint_field(number, value);
        self
    }

    pub(super) fn sint(self, number: u32, value: i64) -> Self {
        self.varint(number, zigzag(value))
    }

    pub(super) fn fixed64(mut self, number: u32, value: u64) -> Self {
        self.0.fixed64_field(number, value);
        self
    }

    pub(super) fn fixed32(mut self, number: u32, value: u32) -> Self {
        self.0.fixed32_field(number, value);
        self
    }

    pub(super) fn double(self, number: u32, value: f64) -> Self {
        self.fixed64(number, value.to_bits())
    }

    pub(super) fn nested(self, number: u32, inner: Self) -> Self {
        self.bytes(number, inner.build())
    }

    /// A packed list of doubles.
    pub(super) fn doubles(self, number: u32, values: &[f64]) -> Self {
        self.bytes(number, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// A packed list of `fixed64`.
    pub(super) fn fixed64s(self, number: u32, values: &[u64]) -> Self {
        self.bytes(number, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    /// A packed list of varints.
    pub(super) fn varints(self, number: u32, values: impl IntoIterator<Item = u64>) -> Self {
        let mut list = Writer::default();
        values.into_iter().for_each(|value| list.varint(value));
        self.bytes(number, list.as_bytes())
    }

    /// An OTLP attribute with a text value.
    pub(super) fn attribute(self, number: u32, key: &str, value: &str) -> Self {
        self.any(number, key, message().bytes(1, value))
    }

    /// An OTLP attribute with a whole number.
    pub(super) fn int_attribute(self, number: u32, key: &str, value: i64) -> Self {
        self.any(number, key, message().varint(3, value.cast_unsigned()))
    }

    /// An OTLP attribute.
    pub(super) fn any(self, number: u32, key: impl AsRef<[u8]>, value: Self) -> Self {
        self.nested(number, message().bytes(1, key).nested(2, value))
    }

    pub(super) fn build(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// A request of one resource with one scope: `Export…ServiceRequest` of any signal.
pub(super) fn export(resource: Proto, items: impl IntoIterator<Item = Proto>) -> Vec<u8> {
    let scope = message().bytes(1, "lib").bytes(2, "1.0");
    let group = items.into_iter().fold(message().nested(1, scope), |group, item| group.nested(2, item));
    message().nested(1, message().nested(1, resource).nested(2, group)).build()
}

/// A resource of a service.
pub(super) fn service(name: &str) -> Proto {
    message().attribute(1, "service.name", name)
}
