//! Picking rows of a column out of many batches, in the type of the file.
//!
//! A dictionary column gets one dictionary for all batches, ids become binary,
//! and a column that no batch has is null.

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, DictionaryArray, ListArray, MapArray,
    StringArray, StructArray, new_null_array,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};
use isinglass_model::tables::{Column, TEXT_MAP_ENTRIES, Type, file_type};

use super::CHUNK_ROWS;
use super::dictionary::Merged;
use super::flat::{Ids, Numbers, Starts, Valid};
use super::order::Pick;

/// A column over all batches.
pub(super) enum Source<'a> {
    /// Nulls, as many as a chunk has rows.
    Nothing(ArrayRef),
    Boolean(Vec<Option<&'a BooleanArray>>),
    Smallint(Numbers<Int16Type>),
    Integer(Numbers<Int32Type>),
    Bigint(Numbers<Int64Type>),
    Double(Numbers<Float64Type>),
    Date(Numbers<Date32Type>),
    Timestamp(Numbers<TimestampMicrosecondType>),
    Text(Vec<Option<&'a StringArray>>),
    /// Keys of the merged dictionary.
    Dictionary(Numbers<Int32Type>, Arc<StringArray>),
    Id(Ids),
    TextMap(Lists<'a, MapArray>, Box<[Source<'a>; 2]>),
    List(Arc<Field>, Lists<'a, ListArray>, Box<Source<'a>>),
    Struct(Fields, Starts, Valid, Vec<Source<'a>>),
}

impl<'a> Source<'a> {
    /// A column; `None` where a batch, which has so many `rows`, lacks it.
    pub(super) fn of(
        column: &Column,
        arrays: Vec<Option<&'a ArrayRef>>,
        rows: &[usize],
    ) -> Result<Self, String> {
        Self::of_type(column.name, &column.ty, arrays, rows)
    }

    fn of_type(
        name: &str,
        ty: &Type,
        arrays: Vec<Option<&'a ArrayRef>>,
        rows: &[usize],
    ) -> Result<Self, String> {
        if arrays.iter().all(|array| array.is_none_or(|array| array.null_count() == array.len())) {
            return Ok(Self::Nothing(new_null_array(&file_type(ty), CHUNK_ROWS)));
        }
        Ok(match ty {
            Type::Boolean => Self::Boolean(typed(name, &arrays, |array| array.as_boolean_opt())?),
            Type::Smallint => Self::Smallint(numbers(name, &arrays, rows)?),
            Type::Integer => Self::Integer(numbers(name, &arrays, rows)?),
            Type::Bigint => Self::Bigint(numbers(name, &arrays, rows)?),
            Type::Double => Self::Double(numbers(name, &arrays, rows)?),
            Type::Date => Self::Date(numbers(name, &arrays, rows)?),
            Type::Timestamp => Self::Timestamp(numbers(name, &arrays, rows)?),
            Type::Text => Self::Text(typed(name, &arrays, |array| array.as_string_opt())?),
            Type::Dictionary => dictionary(name, &arrays, rows)?,
            Type::Id(width) => ids(name, *width, &arrays, rows)?,
            Type::TextMap => text_map(name, &arrays)?,
            Type::List(element) => list(name, element, &arrays)?,
            Type::Struct(columns) => structs(name, columns, &arrays, rows)?,
        })
    }

    /// The values of some rows.
    pub(super) fn pick(&self, picks: &[Pick]) -> Result<ArrayRef, String> {
        Ok(match self {
            Self::Nothing(nulls) if picks.len() <= nulls.len() => nulls.slice(0, picks.len()),
            Self::Nothing(nulls) => new_null_array(nulls.data_type(), picks.len()),
            Self::Boolean(arrays) => booleans(arrays, picks),
            Self::Smallint(numbers) => Arc::new(numbers.pick(picks)),
            Self::Integer(numbers) => Arc::new(numbers.pick(picks)),
            Self::Bigint(numbers) => Arc::new(numbers.pick(picks)),
            Self::Double(numbers) => Arc::new(numbers.pick(picks)),
            Self::Date(numbers) => Arc::new(numbers.pick(picks)),
            Self::Timestamp(numbers) => Arc::new(numbers.pick(picks).with_timezone("UTC")),
            Self::Text(arrays) => texts(arrays, picks)?,
            Self::Dictionary(keys, values) => {
                let array = DictionaryArray::try_new(keys.pick(picks), Arc::clone(values) as ArrayRef);
                Arc::new(array.map_err(text_of)?)
            }
            Self::Id(ids) => {
                let (ends, bytes, valid) = ids.pick(picks);
                let array = BinaryArray::try_new(OffsetBuffer::new(ends.into()), Buffer::from(bytes), valid);
                Arc::new(array.map_err(text_of)?)
            }
            Self::TextMap(maps, entries) => map_rows(maps, entries, picks)?,
            Self::List(field, lists, element) => {
                let (offsets, inner, valid) = lists.pick(picks)?;
                let list = ListArray::try_new(Arc::clone(field), offsets, element.pick(&inner)?, valid);
                Arc::new(list.map_err(text_of)?)
            }
            Self::Struct(fields, starts, valid, children) => {
                let children = children.iter().map(|child| child.pick(picks)).collect::<Result<_, _>>()?;
                let array = StructArray::try_new(fields.clone(), children, valid.pick(starts, picks));
                Arc::new(array.map_err(text_of)?)
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

fn numbers<T: ArrowPrimitiveType>(
    name: &str,
    arrays: &[Option<&ArrayRef>],
    rows: &[usize],
) -> Result<Numbers<T>, String> {
    Ok(Numbers::of(&typed(name, arrays, |array| array.as_primitive_opt::<T>())?, rows))
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
    let value = |pick: &Pick| {
        let array = arrays[pick.batch as usize].filter(|array| array.is_valid(pick.row as usize))?;
        Some(array.value(pick.row as usize))
    };
    let values: Vec<Option<&str>> = picks.iter().map(value).collect();
    let offsets = offsets(values.iter().map(|value| value.map_or(0, str::len)))?;
    let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |end| *end as usize));
    values.iter().flatten().for_each(|value| bytes.extend_from_slice(value.as_bytes()));
    let whole = values.iter().all(Option::is_some);
    let valid = (!whole).then(|| values.iter().map(Option::is_some).collect());
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from(bytes), valid).map_err(text_of)?))
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

fn dictionary<'a>(name: &str, arrays: &[Option<&'a ArrayRef>], rows: &[usize]) -> Result<Source<'a>, String> {
    let merged = Merged::of(name, arrays.iter().copied())?;
    let dictionaries = typed(name, arrays, |array| array.as_dictionary_opt::<Int32Type>())?;
    let keys: Vec<_> =
        dictionaries.into_iter().map(|dictionary| dictionary.map(DictionaryArray::keys)).collect();
    let keys = Numbers::of(&keys, rows).map(|batch, key| {
        // The key of a null may be anything.
        usize::try_from(key).ok().and_then(|key| merged.keys_of(batch).get(key)).copied().unwrap_or(0)
    });
    Ok(Source::Dictionary(keys, Arc::clone(merged.values())))
}

fn ids<'a>(
    name: &str,
    width: i32,
    arrays: &[Option<&'a ArrayRef>],
    rows: &[usize],
) -> Result<Source<'a>, String> {
    let of_width =
        |array: &'a dyn Array| array.as_fixed_size_binary_opt().filter(|array| array.value_length() == width);
    Ok(Source::Id(Ids::of(width.unsigned_abs() as usize, &typed(name, arrays, of_width)?, rows)))
}

/// Rows of different lengths.
pub(super) struct Lists<'a, T>(Vec<Option<&'a T>>);

/// A list or a map.
pub(super) trait Entries: Array {
    fn offsets(&self) -> &[i32];
}

impl Entries for ListArray {
    fn offsets(&self) -> &[i32] {
        self.value_offsets()
    }
}

impl Entries for MapArray {
    fn offsets(&self) -> &[i32] {
        self.value_offsets()
    }
}

impl<T: Entries> Lists<'_, T> {
    /// Offsets of the picked rows, the picks of their entries, and which rows
    /// are there.
    fn pick(&self, picks: &[Pick]) -> Result<(OffsetBuffer<i32>, Vec<Pick>, Option<NullBuffer>), String> {
        let mut inner = Vec::new();
        let mut valid = Vec::with_capacity(picks.len());
        let mut lengths = Vec::with_capacity(picks.len());
        for pick in picks {
            let row = pick.row as usize;
            let array = self.0[pick.batch as usize].filter(|array| array.is_valid(row));
            valid.push(array.is_some());
            let range = array.map_or(0..0, |array| array.offsets()[row]..array.offsets()[row + 1]);
            lengths.push(range.len());
            inner.extend(range.map(|row| Pick { batch: pick.batch, row: row.unsigned_abs() }));
        }
        let whole = valid.iter().all(|valid| *valid);
        Ok((offsets(lengths.into_iter())?, inner, (!whole).then(|| valid.into())))
    }
}

/// The arrays of entries and how many each batch has.
fn inner<'a, T>(
    arrays: &[Option<&'a T>],
    of: impl Fn(&'a T) -> &'a ArrayRef,
) -> (Vec<Option<&'a ArrayRef>>, Vec<usize>) {
    arrays
        .iter()
        .map(|array| array.map(&of))
        .map(|array| (array, array.map_or(0, |array| array.len())))
        .unzip()
}

fn text_map<'a>(name: &str, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let maps: Vec<Option<&'a MapArray>> = typed(name, arrays, |array| array.as_map_opt())?;
    let (keys, rows) = inner(&maps, MapArray::keys);
    let keys = Source::of_type(name, &Type::Text, keys, &rows)?;
    let (values, rows) = inner(&maps, MapArray::values);
    let values = Source::of_type(name, &Type::Text, values, &rows)?;
    Ok(Source::TextMap(Lists(maps), Box::new([keys, values])))
}

fn map_rows(
    maps: &Lists<'_, MapArray>,
    entries: &[Source<'_>; 2],
    picks: &[Pick],
) -> Result<ArrayRef, String> {
    let (offsets, inner, valid) = maps.pick(picks)?;
    let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
        return Err("the entries of a map are a struct".to_owned());
    };
    let columns = entries.iter().map(|source| source.pick(&inner)).collect::<Result<_, _>>()?;
    let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(text_of)?;
    let map = MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, pairs, valid, false);
    Ok(Arc::new(map.map_err(text_of)?))
}

fn list<'a>(name: &str, element: &Type, arrays: &[Option<&'a ArrayRef>]) -> Result<Source<'a>, String> {
    let lists: Vec<Option<&'a ListArray>> = typed(name, arrays, |array| array.as_list_opt::<i32>())?;
    let (elements, rows) = inner(&lists, ListArray::values);
    let source = Source::of_type(name, element, elements, &rows)?;
    let field = Arc::new(Field::new("element", file_type(element), false));
    Ok(Source::List(field, Lists(lists), Box::new(source)))
}

fn structs<'a>(
    name: &str,
    columns: &'static [Column],
    arrays: &[Option<&'a ArrayRef>],
    rows: &[usize],
) -> Result<Source<'a>, String> {
    let structs: Vec<Option<&'a StructArray>> = typed(name, arrays, |array| array.as_struct_opt())?;
    let children = columns.iter().map(|column| {
        let children = structs.iter().map(|array| array.and_then(|array| array.column_by_name(column.name)));
        Source::of(column, children.collect(), rows)
    });
    let children = children.collect::<Result<_, _>>()?;
    let DataType::Struct(fields) = file_type(&Type::Struct(columns)) else {
        return Err(format!("column {name} is no struct"));
    };
    Ok(Source::Struct(fields, Starts::of(rows), Valid::of(&structs, rows), children))
}
