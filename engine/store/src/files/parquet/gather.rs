//! Picking rows out of many batches, column by column, in the types of a file.
//!
//! Dictionary columns get one dictionary for all batches, ids become binary,
//! and a column that no batch has is null.

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeBinaryArray, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray, new_null_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, SchemaRef};
use isinglass_model::tables::{Column, TEXT_MAP_ENTRIES, Table, Type, file_type};

use super::CHUNK_ROWS;
use super::dictionary::Merged;
use super::order::Pick;
use crate::files::{FilesError, Result};

/// The columns of a table over all batches of a flush.
pub(super) struct Gather<'a> {
    table: &'static Table,
    columns: Vec<Source<'a>>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(table: &'static Table, batches: &'a [RecordBatch]) -> Result<Self> {
        let bad = |problem| FilesError::Rows { kind: table.kind, problem };
        if let Some(name) = unknown_column(table, batches) {
            return Err(bad(format!("there is no column {name}")));
        }
        let columns = table.columns.iter().map(|column| {
            let arrays = batches.iter().map(|batch| batch.column_by_name(column.name)).collect();
            Source::of(column, arrays)
        });
        Ok(Self { table, columns: columns.collect::<Result<_, _>>().map_err(bad)? })
    }

    /// These rows, in this order.
    pub(super) fn rows(&self, picks: &[Pick]) -> Result<RecordBatch> {
        let bad = |problem| FilesError::Rows { kind: self.table.kind, problem };
        let columns = self.columns.iter().zip(&self.table.columns).map(|(source, column)| {
            let array = source.pick(picks).map_err(bad)?;
            if !column.nullable && array.null_count() > 0 {
                return Err(bad(format!("column {} has nulls", column.name)));
            }
            Ok(array)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let fields = columns.iter().zip(self.table.file_schema().fields());
        // Dictionary arrays differ from the type in the file; the writer takes them.
        let schema =
            fields.map(|(array, field)| field.as_ref().clone().with_data_type(array.data_type().clone()));
        let schema: SchemaRef = Arc::new(arrow_schema::Schema::new(schema.collect::<Vec<_>>()));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

fn unknown_column<'a>(table: &Table, batches: &'a [RecordBatch]) -> Option<&'a str> {
    let fields = batches.iter().flat_map(|batch| batch.schema_ref().fields().iter());
    fields.map(|field| field.name().as_str()).find(|name| table.position(name).is_none())
}

/// A column over all batches; `None` where a batch lacks it.
enum Source<'a> {
    /// Nulls, as many as a chunk has rows.
    Nothing(ArrayRef),
    Boolean(Vec<Option<&'a BooleanArray>>),
    Smallint(Primitives<'a, Int16Type>),
    Integer(Primitives<'a, Int32Type>),
    Bigint(Primitives<'a, Int64Type>),
    Double(Primitives<'a, Float64Type>),
    Date(Primitives<'a, Date32Type>),
    Timestamp(Primitives<'a, TimestampMicrosecondType>),
    Text(Vec<Option<&'a StringArray>>),
    Dictionary(Primitives<'a, Int32Type>, Merged),
    Id(i32, Vec<Option<&'a FixedSizeBinaryArray>>),
    TextMap(Vec<Option<&'a MapArray>>, Box<[Source<'a>; 2]>),
    List(Arc<Field>, Vec<Option<&'a ListArray>>, Box<Source<'a>>),
    Struct(Fields, Vec<Option<&'a StructArray>>, Vec<Source<'a>>),
}

impl<'a> Source<'a> {
    fn of(column: &Column, arrays: Vec<Option<&'a ArrayRef>>) -> Result<Self, String> {
        Self::of_type(column.name, &column.ty, arrays)
    }

    fn of_type(name: &str, ty: &Type, arrays: Vec<Option<&'a ArrayRef>>) -> Result<Self, String> {
        if arrays.iter().all(|array| array.is_none_or(|array| array.null_count() == array.len())) {
            return Ok(Self::Nothing(new_null_array(&file_type(ty), CHUNK_ROWS)));
        }
        Ok(match ty {
            Type::Boolean => Self::Boolean(typed(name, &arrays, |array| array.as_boolean_opt())?),
            Type::Smallint => Self::Smallint(Primitives::of(name, &arrays)?),
            Type::Integer => Self::Integer(Primitives::of(name, &arrays)?),
            Type::Bigint => Self::Bigint(Primitives::of(name, &arrays)?),
            Type::Double => Self::Double(Primitives::of(name, &arrays)?),
            Type::Date => Self::Date(Primitives::of(name, &arrays)?),
            Type::Timestamp => Self::Timestamp(Primitives::of(name, &arrays)?),
            Type::Text => Self::Text(typed(name, &arrays, |array| array.as_string_opt())?),
            Type::Dictionary => dictionary(name, &arrays)?,
            Type::Id(width) => ids(name, *width, &arrays)?,
            Type::TextMap => text_map(name, &arrays)?,
            Type::List(element) => list(name, element, &arrays)?,
            Type::Struct(columns) => structs(name, columns, &arrays)?,
        })
    }

    /// The values of some rows.
    fn pick(&self, picks: &[Pick]) -> Result<ArrayRef, String> {
        Ok(match self {
            Self::Nothing(nulls) if picks.len() <= nulls.len() => nulls.slice(0, picks.len()),
            Self::Nothing(nulls) => new_null_array(nulls.data_type(), picks.len()),
            Self::Boolean(arrays) => booleans(arrays, picks),
            Self::Smallint(column) => Arc::new(column.pick(picks)),
            Self::Integer(column) => Arc::new(column.pick(picks)),
            Self::Bigint(column) => Arc::new(column.pick(picks)),
            Self::Double(column) => Arc::new(column.pick(picks)),
            Self::Date(column) => Arc::new(column.pick(picks)),
            Self::Timestamp(column) => Arc::new(column.pick(picks).with_timezone("UTC")),
            Self::Text(arrays) => texts(arrays, picks)?,
            Self::Dictionary(keys, merged) => merged_keys(keys, merged, picks)?,
            Self::Id(width, arrays) => binaries(*width, arrays, picks),
            Self::TextMap(maps, entries) => map_rows(maps, entries, picks)?,
            Self::List(field, lists, element) => list_rows(field, lists, element, picks)?,
            Self::Struct(fields, arrays, children) => {
                let children = children.iter().map(|child| child.pick(picks)).collect::<Result<_, _>>()?;
                Arc::new(
                    StructArray::try_new(fields.clone(), children, nulls(arrays, picks)).map_err(text_of)?,
                )
            }
        })
    }
}

fn text_of(error: arrow_schema::ArrowError) -> String {
    error.to_string()
}

fn typed<'a, T>(
    name: &str,
    arrays: &[Option<&'a ArrayRef>],
    cast: impl Fn(&'a dyn Array) -> Option<&'a T>,
) -> Result<Vec<Option<&'a T>>, String> {
    let cast = |array: Option<&'a ArrayRef>| match array {
        None => Ok(None),
        Some(array) => match cast(array.as_ref()) {
            Some(typed) => Ok(Some(typed)),
            None => Err(format!("column {name} is {}", array.data_type())),
        },
    };
    arrays.iter().copied().map(cast).collect()
}

/// Which of the picked rows are there; `None` if all are.
fn nulls<T: Array>(arrays: &[Option<&T>], picks: &[Pick]) -> Option<NullBuffer> {
    let whole = arrays.iter().all(|array| array.is_some_and(|array| array.null_count() == 0));
    if whole {
        return None;
    }
    let valid =
        |pick: &Pick| arrays[pick.batch as usize].is_some_and(|array| array.is_valid(pick.row as usize));
    Some(picks.iter().map(valid).collect()).filter(|nulls: &NullBuffer| nulls.null_count() > 0)
}

/// Numbers, whose values are reached without a look at their validity.
struct Primitives<'a, T: ArrowPrimitiveType> {
    arrays: Vec<Option<&'a PrimitiveArray<T>>>,
    values: Vec<&'a [T::Native]>,
}

impl<'a, T: ArrowPrimitiveType> Primitives<'a, T> {
    fn of(name: &str, arrays: &[Option<&'a ArrayRef>]) -> Result<Self, String> {
        Ok(Self::new(typed(name, arrays, |array| array.as_primitive_opt::<T>())?))
    }

    fn new(arrays: Vec<Option<&'a PrimitiveArray<T>>>) -> Self {
        let values = arrays.iter().map(|array| array.map_or(&[][..], |array| &array.values()[..])).collect();
        Self { arrays, values }
    }

    fn pick(&self, picks: &[Pick]) -> PrimitiveArray<T> {
        let value = |pick: &Pick| {
            self.values[pick.batch as usize].get(pick.row as usize).copied().unwrap_or_default()
        };
        let values: Vec<T::Native> = picks.iter().map(value).collect();
        PrimitiveArray::new(values.into(), nulls(&self.arrays, picks))
    }
}

fn booleans(arrays: &[Option<&BooleanArray>], picks: &[Pick]) -> ArrayRef {
    let mut values = BooleanBuilder::with_capacity(picks.len());
    for pick in picks {
        let array = arrays[pick.batch as usize].filter(|array| array.is_valid(pick.row as usize));
        values.append_option(array.map(|array| array.value(pick.row as usize)));
    }
    Arc::new(values.finish())
}

fn texts(arrays: &[Option<&StringArray>], picks: &[Pick]) -> Result<ArrayRef, String> {
    let nulls = nulls(arrays, picks);
    let value = |pick: &Pick| {
        arrays[pick.batch as usize].map_or("", |array| match array.is_valid(pick.row as usize) {
            true => array.value(pick.row as usize),
            false => "",
        })
    };
    let offsets = offsets(picks.iter().map(|pick| value(pick).len()))?;
    let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
    picks.iter().for_each(|pick| bytes.extend_from_slice(value(pick).as_bytes()));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from(bytes), nulls).map_err(text_of)?))
}

/// Offsets of consecutive items of these lengths.
fn offsets(lengths: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>, String> {
    let mut at = 0_i32;
    let mut offsets = vec![at];
    for length in lengths {
        let end = i32::try_from(length).ok().and_then(|length| at.checked_add(length));
        at = end.ok_or("a chunk of rows has over 2 GiB in one column")?;
        offsets.push(at);
    }
    Ok(OffsetBuffer::new(ScalarBuffer::from(offsets)))
}

fn dictionary<'a>(name: &str, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let merged = Merged::of(name, arrays.iter().copied())?;
    let dictionaries = typed(name, arrays, |array| array.as_dictionary_opt::<Int32Type>())?;
    let keys = dictionaries.into_iter().map(|dictionary| dictionary.map(DictionaryArray::keys)).collect();
    Ok(Source::Dictionary(Primitives::new(keys), merged))
}

fn merged_keys(
    keys: &Primitives<'_, Int32Type>,
    merged: &Merged,
    picks: &[Pick],
) -> Result<ArrayRef, String> {
    let key = |pick: &Pick| {
        let key = keys.values[pick.batch as usize].get(pick.row as usize).copied().unwrap_or(-1);
        // The key of a null may be anything.
        let of_batch = merged.keys_of(pick.batch as usize);
        usize::try_from(key).ok().and_then(|key| of_batch.get(key)).copied().unwrap_or(0)
    };
    let values: Vec<i32> = picks.iter().map(key).collect();
    let keys = PrimitiveArray::<Int32Type>::new(values.into(), nulls(&keys.arrays, picks));
    let dictionary = Arc::clone(merged.values());
    Ok(Arc::new(DictionaryArray::try_new(keys, dictionary).map_err(text_of)?))
}

fn ids<'a>(name: &str, width: i32, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let ids = typed(name, arrays, |array| {
        array.as_fixed_size_binary_opt().filter(|array| array.value_length() == width)
    })?;
    Ok(Source::Id(width, ids))
}

fn binaries(width: i32, arrays: &[Option<&FixedSizeBinaryArray>], picks: &[Pick]) -> ArrayRef {
    let valid = nulls(arrays, picks);
    let mut ends = Vec::with_capacity(picks.len() + 1);
    let mut bytes = Vec::with_capacity(picks.len() * width.unsigned_abs() as usize);
    ends.push(0);
    for (at, pick) in picks.iter().enumerate() {
        if let Some(array) =
            arrays[pick.batch as usize].filter(|_| valid.as_ref().is_none_or(|valid| valid.is_valid(at)))
        {
            bytes.extend_from_slice(array.value(pick.row as usize));
        }
        // At most 16 bytes for each of the rows of a chunk.
        ends.push(bytes.len() as i32);
    }
    Arc::new(BinaryArray::new(OffsetBuffer::new(ends.into()), Buffer::from(bytes), valid))
}

/// The picks of the entries of variable-length rows.
fn entries<'a>(
    picks: &[Pick],
    valid: Option<&NullBuffer>,
    offsets: impl Fn(usize) -> Option<&'a [i32]>,
) -> Result<(OffsetBuffer<i32>, Vec<Pick>), String> {
    let mut inner = Vec::new();
    let mut lengths = Vec::with_capacity(picks.len());
    for (at, pick) in picks.iter().enumerate() {
        let before = inner.len();
        let offsets = offsets(pick.batch as usize).filter(|_| valid.is_none_or(|valid| valid.is_valid(at)));
        if let Some(offsets) = offsets {
            let range = offsets[pick.row as usize]..offsets[pick.row as usize + 1];
            inner.extend(range.map(|row| Pick { batch: pick.batch, row: row.unsigned_abs() }));
        }
        lengths.push(inner.len() - before);
    }
    Ok((self::offsets(lengths.into_iter())?, inner))
}

fn text_map<'a>(name: &str, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let maps = typed(name, arrays, |array| array.as_map_opt())?;
    let keys = maps.iter().map(|map| map.map(|map| map.keys())).collect();
    let values = maps.iter().map(|map| map.map(|map| map.values())).collect();
    let keys = Source::of_type(name, &Type::Text, keys)?;
    let values = Source::of_type(name, &Type::Text, values)?;
    Ok(Source::TextMap(maps, Box::new([keys, values])))
}

fn map_rows(
    maps: &[Option<&MapArray>],
    sources: &[Source<'_>; 2],
    picks: &[Pick],
) -> Result<ArrayRef, String> {
    let valid = nulls(maps, picks);
    let (offsets, inner) = entries(picks, valid.as_ref(), |batch| maps[batch].map(MapArray::value_offsets))?;
    let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
        return Err("the entries of a map are a struct".to_owned());
    };
    let columns = sources.iter().map(|source| source.pick(&inner)).collect::<Result<_, _>>()?;
    let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(text_of)?;
    let map = MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, pairs, valid, false);
    Ok(Arc::new(map.map_err(text_of)?))
}

fn list<'a>(name: &str, element: &Type, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let lists = typed(name, arrays, |array| array.as_list_opt::<i32>())?;
    let elements = lists.iter().map(|list| list.map(|list| list.values())).collect();
    let source = Source::of_type(name, element, elements)?;
    let field = Arc::new(Field::new("element", file_type(element), false));
    Ok(Source::List(field, lists, Box::new(source)))
}

fn list_rows(
    field: &Arc<Field>,
    lists: &[Option<&ListArray>],
    element: &Source<'_>,
    picks: &[Pick],
) -> Result<ArrayRef, String> {
    let valid = nulls(lists, picks);
    let (offsets, inner) =
        entries(picks, valid.as_ref(), |batch| lists[batch].map(ListArray::value_offsets))?;
    let values = element.pick(&inner)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, valid).map_err(text_of)?))
}

fn structs<'a>(
    name: &str,
    columns: &[Column],
    arrays: &[Option<&'a ArrayRef>],
) -> Result<Source<'a>, String> {
    let structs: Vec<Option<&'a StructArray>> = typed(name, arrays, |array| array.as_struct_opt())?;
    let children = columns.iter().map(|column| {
        let children =
            structs.iter().map(|array| array.and_then(|array| array.column_by_name(column.name))).collect();
        Source::of(column, children)
    });
    let children = children.collect::<Result<_, _>>()?;
    let DataType::Struct(fields) = file_type_of(columns) else {
        return Err(format!("column {name} is no struct"));
    };
    Ok(Source::Struct(fields, structs, children))
}

fn file_type_of(columns: &[Column]) -> DataType {
    let field = |column: &Column| Field::new(column.name, file_type(&column.ty), column.nullable);
    DataType::Struct(columns.iter().map(field).collect())
}
