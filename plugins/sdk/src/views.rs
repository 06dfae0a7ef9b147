//! Typed views of columns: what [`columns!`](crate::columns!) fields can be.

use crate::columns::{Batch, Column, Data, Encoding, TextData};

/// A column seen as one type. The type decides how the column is asked for.
pub trait View<'a>: Sized {
    /// The encoding to ask for.
    const ENCODING: Encoding;
    /// Whether the plugin can do without the column.
    const OPTIONAL: bool = false;

    /// The column of a slot, or `None` if it is missing or of another type.
    fn read(batch: &'a Batch, slot: u16) -> Option<Self>;
}

/// A column that a batch may lack.
impl<'a, V: View<'a>> View<'a> for Option<V> {
    const ENCODING: Encoding = V::ENCODING;
    const OPTIONAL: bool = true;

    fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        match batch.column(slot) {
            None => Some(None),
            Some(_) => V::read(batch, slot).map(Some),
        }
    }
}

/// Which rows are valid.
#[derive(Debug, Clone, Copy)]
pub struct Validity<'a>(Option<&'a [u8]>);

impl<'a> Validity<'a> {
    fn of(column: &'a Column) -> Self {
        Self(column.validity.as_deref())
    }

    /// Whether no row is null.
    pub fn is_full(self) -> bool {
        self.0.is_none()
    }

    /// Whether a row is not null.
    #[inline]
    pub fn is_valid(self, row: usize) -> bool {
        self.0.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
    }
}

/// Texts one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a> {
    offsets: &'a [i32],
    data: &'a [u8],
}

impl<'a> Texts<'a> {
    fn of(data: &'a TextData) -> Self {
        Self { offsets: &data.offsets, data: &data.data }
    }

    /// Number of texts.
    pub fn len(self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Bytes of one text.
    #[inline]
    pub fn bytes_of(self, at: usize) -> usize {
        self.offsets[at + 1].wrapping_sub(self.offsets[at]) as usize
    }

    /// One text. The host checks UTF-8; what were not would be empty here.
    pub fn get(self, at: usize) -> &'a str {
        let range = self.offsets[at] as usize..self.offsets[at + 1] as usize;
        std::str::from_utf8(&self.data[range]).unwrap_or_default()
    }

    /// All texts.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |at| self.get(at))
    }
}

/// Text of which every value is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    values: Texts<'a>,
    validity: Validity<'a>,
}

impl<'a> Text<'a> {
    /// The value of a row, `None` if it is null.
    pub fn get(self, row: usize) -> Option<&'a str> {
        self.validity.is_valid(row).then(|| self.values.get(row))
    }
}

impl<'a> View<'a> for Text<'a> {
    const ENCODING: Encoding = Encoding::Values;

    fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        let column = batch.column(slot)?;
        let Data::Text(values) = &column.data else { return None };
        Some(Self { values: Texts::of(values), validity: Validity::of(column) })
    }
}

/// Text as keys into distinct values.
#[derive(Debug, Clone, Copy)]
pub struct Dictionary<'a> {
    slot: u16,
    keys: &'a [u32],
    distinct: Texts<'a>,
    validity: Validity<'a>,
}

impl<'a> Dictionary<'a> {
    /// The slot it came in, for [`LabelValues::Input`](crate::LabelValues::Input).
    pub fn slot(self) -> u16 {
        self.slot
    }

    /// One key per row. The key of a null row has no meaning.
    #[inline]
    pub fn keys(self) -> &'a [u32] {
        self.keys
    }

    /// The distinct values.
    pub fn distinct(self) -> Texts<'a> {
        self.distinct
    }

    /// Which rows are valid.
    pub fn validity(self) -> Validity<'a> {
        self.validity
    }

    /// The value of a row, `None` if it is null.
    pub fn get(self, row: usize) -> Option<&'a str> {
        self.validity.is_valid(row).then(|| self.distinct.get(self.keys[row] as usize))
    }

    /// Asks a question once per distinct value; index the answers by key.
    pub fn per_distinct<T>(self, answer: impl FnMut(&'a str) -> T) -> Vec<T> {
        self.distinct.iter().map(answer).collect()
    }

    /// Calls `found` for every row whose value answers yes. Asks once per
    /// distinct value, and looks at no row unless one does.
    pub fn rows_where(self, matches: impl FnMut(&'a str) -> bool, mut found: impl FnMut(usize, &'a str)) {
        let flags = self.per_distinct(matches);
        if !flags.contains(&true) {
            return;
        }
        for (row, key) in self.keys.iter().enumerate() {
            if self.validity.is_valid(row) && flags[*key as usize] {
                found(row, self.distinct.get(*key as usize));
            }
        }
    }
}

impl<'a> View<'a> for Dictionary<'a> {
    const ENCODING: Encoding = Encoding::Dictionary;

    fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        let column = batch.column(slot)?;
        let Data::Dictionary { keys, values } = &column.data else { return None };
        Some(Self { slot, keys, distinct: Texts::of(values), validity: Validity::of(column) })
    }
}

/// `WIDTH` bytes per row, such as ids.
#[derive(Debug, Clone, Copy)]
pub struct Fixed<'a, const WIDTH: usize> {
    rows: &'a [[u8; WIDTH]],
    validity: Validity<'a>,
}

impl<'a, const WIDTH: usize> Fixed<'a, WIDTH> {
    /// All rows; null ones have no meaning.
    #[inline]
    pub fn rows(self) -> &'a [[u8; WIDTH]] {
        self.rows
    }

    /// Which rows are valid.
    pub fn validity(self) -> Validity<'a> {
        self.validity
    }

    /// The value of a row, `None` if it is null.
    pub fn get(self, row: usize) -> Option<&'a [u8; WIDTH]> {
        self.validity.is_valid(row).then(|| &self.rows[row])
    }
}

impl<'a, const WIDTH: usize> View<'a> for Fixed<'a, WIDTH> {
    const ENCODING: Encoding = Encoding::Values;

    fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        let column = batch.column(slot)?;
        let Data::Fixed { width, data } = &column.data else { return None };
        let (rows, rest) = data.as_chunks();
        (*width as usize == WIDTH && rest.is_empty()).then(|| Self { rows, validity: Validity::of(column) })
    }
}

/// Which part of the columns of the same prefix belongs to each row.
#[derive(Debug, Clone, Copy)]
pub struct Offsets<'a>(&'a [i32]);

impl<'a> Offsets<'a> {
    /// The range of a row.
    #[inline]
    pub fn range(self, row: usize) -> std::ops::Range<usize> {
        self.0[row] as usize..self.0[row + 1] as usize
    }

    /// The ranges of all rows.
    #[inline]
    pub fn ranges(self) -> impl Iterator<Item = std::ops::Range<usize>> + use<'a> {
        self.0.array_windows().map(|[start, end]| *start as usize..*end as usize)
    }

    /// Calls `found` for every row whose range is longer than `max`.
    #[inline]
    pub fn each_longer(self, max: usize, mut found: impl FnMut(usize)) {
        const BLOCK: usize = 16;
        let rows = self.0.len().saturating_sub(1);
        for from in (0..rows).step_by(BLOCK) {
            let to = (from + BLOCK).min(rows);
            // Lengths of a whole block at once where there is one.
            let suspect = match self.0[from..].first_chunk::<{ BLOCK + 1 }>() {
                Some(offsets) => {
                    offsets.array_windows().any(|[start, end]| end.wrapping_sub(*start) as usize > max)
                }
                None => true,
            };
            if suspect {
                (from..to).filter(|row| self.range(*row).len() > max).for_each(&mut found);
            }
        }
    }

    /// The row that an index into the other columns belongs to.
    pub fn row_of(self, at: usize) -> usize {
        self.0.partition_point(|offset| *offset as usize <= at) - 1
    }
}

impl<'a> View<'a> for Offsets<'a> {
    const ENCODING: Encoding = Encoding::Values;

    fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        match &batch.column(slot)?.data {
            Data::Offsets(offsets) => Some(Self(offsets)),
            _ => None,
        }
    }
}

macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $number:ty, $encoding:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a> {
            values: &'a [$number],
            validity: Validity<'a>,
        }

        impl<'a> $name<'a> {
            /// All rows; null ones have no meaning.
            #[inline]
            pub fn values(self) -> &'a [$number] {
                self.values
            }

            /// Which rows are valid.
            pub fn validity(self) -> Validity<'a> {
                self.validity
            }

            /// The value of a row, `None` if it is null.
            pub fn get(self, row: usize) -> Option<$number> {
                self.validity.is_valid(row).then(|| self.values[row])
            }
        }

        impl<'a> View<'a> for $name<'a> {
            const ENCODING: Encoding = Encoding::$encoding;

            fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
                let column = batch.column(slot)?;
                let Data::$variant(values) = &column.data else { return None };
                Some(Self { values, validity: Validity::of(column) })
            }
        }
    };
}

numbers!(
    /// Integers of any width, times and durations in nanoseconds.
    Integers, I64, i64, Values
);
numbers!(
    /// Measured values.
    Floats, F64, f64, Values
);
numbers!(
    /// Byte lengths of text, without the text.
    Lengths, U32, u32, Lengths
);
numbers!(
    /// Counts that are no lengths.
    Counts, U32, u32, Values
);
numbers!(
    /// One byte per row.
    Bytes, Bytes, u8, Values
);
