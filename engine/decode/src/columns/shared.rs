//! What all items of a resource and a scope have in common: read once, then
//! repeated by key.

use std::sync::LazyLock;

use arrow_schema::ArrowError;
use isinglass_model::reason::code;
use isinglass_model::tables::promoted::RESOURCE;

use super::Finished;
use super::dictionary::Dictionary;
use super::maps::{Entries, Maps};
use super::promoted::{Column, Places, Value, places};
use crate::item::{Fault, Stop, split};
use crate::value::{Any, key_value, not_utf8, utf8};
use crate::wire::{Reader, WireError};

/// The service of items that name none.
pub(crate) const UNKNOWN_SERVICE: &str = "unknown_service";

/// Bytes that residual maps may take through repetition. A resource of a
/// megabyte over a million small items would be a terabyte.
const REPEATED_BYTES_MAX: usize = 256 << 20;

/// The columns that resource and scope fill.
pub(crate) struct Shared {
    service: Dictionary,
    scope_name: Dictionary,
    scope_version: Dictionary,
    columns: Vec<Column>,
    resource: Maps,
    scope: Maps,
    repeated: usize,
}

/// A resource that was read.
#[derive(Default)]
pub(crate) struct Resource {
    service: i32,
    promoted: Vec<(usize, Value)>,
    residual: Entries,
}

/// A scope that was read.
#[derive(Default)]
pub(crate) struct Scope {
    name: Option<i32>,
    version: Option<i32>,
    residual: Entries,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            service: Dictionary::default(),
            scope_name: Dictionary::default(),
            scope_version: Dictionary::default(),
            columns: std::iter::repeat_with(Column::default).take(RESOURCE.len()).collect(),
            resource: Maps::default(),
            scope: Maps::default(),
            repeated: 0,
        }
    }
}

impl Shared {
    /// Reads an OTLP resource. `each` sees every attribute. A faulty resource
    /// rejects all its items.
    pub(crate) fn read_resource(
        &mut self,
        reader: Option<Reader<'_>>,
        each: impl FnMut(&str, Any<'_>) -> Result<(), Stop>,
    ) -> Result<Result<Resource, Fault>, WireError> {
        split(self.try_read_resource(reader, each))
    }

    fn try_read_resource(
        &mut self,
        reader: Option<Reader<'_>>,
        mut each: impl FnMut(&str, Any<'_>) -> Result<(), Stop>,
    ) -> Result<Resource, Stop> {
        let mut resource = Resource::default();
        let mut service: Option<Vec<u8>> = None;
        let mut fields = reader.unwrap_or(Reader::new(&[]));
        while let Some(field) = fields.next()? {
            if field.number != 1 {
                continue;
            }
            let (key, value) = key_value(field.message()?)?;
            let key = utf8(key, "a resource attribute key")?;
            each(key, value)?;
            if key == "service.name" && service.is_none() {
                let mut name = Vec::new();
                value.write_label(&mut name)?;
                service = Some(name);
            } else if !self.promote(&mut resource, key, value)? {
                resource.residual.push(key, value)?;
            }
        }
        let service = service.filter(|name| !name.is_empty());
        resource.service = self.service(service.as_deref().unwrap_or(UNKNOWN_SERVICE.as_bytes()))?;
        Ok(resource)
    }

    /// A resource that is known by the labels of a stream.
    pub(crate) fn resource_of_labels(
        &mut self,
        service: &str,
        labels: &[(String, String)],
    ) -> Result<Resource, Fault> {
        let mut resource = Resource { service: self.service(service.as_bytes())?, ..Resource::default() };
        for (name, value) in labels {
            self.promote(&mut resource, name, Any::Text(value.as_bytes()))?;
        }
        Ok(resource)
    }

    /// The service of a resource.
    pub(crate) fn service_of(&self, resource: &Resource) -> &str {
        // Checked when it was interned.
        std::str::from_utf8(self.service.value(resource.service)).unwrap_or(UNKNOWN_SERVICE)
    }

    fn service(&mut self, name: &[u8]) -> Result<i32, Fault> {
        self.service.intern(name).map_err(|_| not_utf8(name, "service.name"))
    }

    fn promote(&mut self, resource: &mut Resource, key: &str, value: Any<'_>) -> Result<bool, Fault> {
        static PLACES: LazyLock<Places> = LazyLock::new(|| places(RESOURCE));
        let Some(at) = PLACES.get(key.as_bytes()).copied() else { return Ok(false) };
        if resource.promoted.iter().any(|(taken, _)| *taken == at) {
            return Ok(false);
        }
        let prepared = self.columns[at].prepare(RESOURCE[at].ty, value).map_err(|_| match value {
            Any::Text(text) => not_utf8(text, "a resource attribute value"),
            _ => not_utf8(&[], "a resource attribute value"),
        })?;
        resource.promoted.extend(prepared.map(|value| (at, value)));
        Ok(prepared.is_some())
    }

    /// Reads an instrumentation scope. A faulty scope rejects all its items.
    pub(crate) fn read_scope(
        &mut self,
        reader: Option<Reader<'_>>,
    ) -> Result<Result<Scope, Fault>, WireError> {
        split(self.try_read_scope(reader))
    }

    fn try_read_scope(&mut self, reader: Option<Reader<'_>>) -> Result<Scope, Stop> {
        let mut scope = Scope::default();
        let mut fields = reader.unwrap_or(Reader::new(&[]));
        while let Some(field) = fields.next()? {
            match field.number {
                1 => scope.name = intern_optional(&mut self.scope_name, field.bytes()?, "a scope name")?,
                2 => {
                    scope.version =
                        intern_optional(&mut self.scope_version, field.bytes()?, "a scope version")?
                }
                3 => {
                    let (key, value) = key_value(field.message()?)?;
                    scope.residual.push(utf8(key, "a scope attribute key")?, value)?;
                }
                _ => {}
            }
        }
        Ok(scope)
    }

    /// Repeats the maps for `row`, the row that is open.
    pub(crate) fn close_row(&mut self, row: usize, resource: &Resource, scope: &Scope) -> Result<(), Fault> {
        let bytes = resource.residual.bytes() + scope.residual.bytes();
        if bytes > 0 {
            if self.repeated + bytes > REPEATED_BYTES_MAX {
                let message = format!(
                    "attributes of the resource and scope ({bytes} bytes) repeated over the items of the request \
                     exceed {REPEATED_BYTES_MAX} bytes"
                );
                return Err(Fault::new(code::STRUCTURED_METADATA_TOO_LARGE, message));
            }
            self.repeated += bytes;
            self.resource.extend(&resource.residual);
            self.resource.close_row(row);
            self.scope.extend(&scope.residual);
            self.scope.close_row(row);
        }
        Ok(())
    }

    /// Repeats the scope's columns for its rows.
    pub(crate) fn close_scope(&mut self, scope: &Scope, start: usize, end: usize) {
        if start == end {
            return;
        }
        if let Some(key) = scope.name {
            self.scope_name.set_range(start, end, key);
        }
        if let Some(key) = scope.version {
            self.scope_version.set_range(start, end, key);
        }
    }

    /// Repeats the resource's columns for its rows.
    pub(crate) fn close_resource(&mut self, resource: &Resource, start: usize, end: usize) {
        if start == end {
            return;
        }
        self.service.set_range(start, end, resource.service);
        for (at, value) in &resource.promoted {
            self.columns[*at].set_range(start, end, *value);
        }
    }

    /// Adds the columns to the batch.
    pub(crate) fn finish(self, rows: usize, batch: &mut Finished) -> Result<(), ArrowError> {
        batch.push("service", self.service.finish(rows)?);
        batch.push("scope_name", self.scope_name.finish(rows)?);
        batch.push("scope_version", self.scope_version.finish(rows)?);
        for (promoted, column) in RESOURCE.iter().zip(self.columns) {
            batch.push(promoted.column, column.finish(rows)?);
        }
        batch.push("resource", self.resource.finish(rows)?);
        batch.push("scope", self.scope.finish(rows)?);
        Ok(())
    }
}

/// The key of a text, `None` for an empty one.
fn intern_optional(column: &mut Dictionary, text: &[u8], what: &str) -> Result<Option<i32>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    column.intern(text).map(Some).map_err(|_| not_utf8(text, what))
}
