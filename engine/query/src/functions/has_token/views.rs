//! A token in views of text.
//!
//! Texts of a page lie one behind the other in a buffer, and a search through all of it takes a tenth
//! of what as many searches take through texts of 20 bytes. Then only texts at the places found are
//! looked at.

use arrow_array::{Array, BooleanArray, StringViewArray};
use arrow_buffer::{BooleanBuffer, Buffer};
use arrow_data::{ByteView, MAX_INLINE_VIEW_LEN};
use isinglass_model::tokens::TokenFinder;

/// Buffers may have so many times the bytes of the texts: what is left of a page of which few rows are
/// wanted is searched text by text.
const BYTES_MAX: usize = 2;

/// A place for so many rows; where there are more, texts are looked at one by one.
const ROWS_PER_PLACE: usize = 16;

/// Which texts have the token; `None` where a search of each by itself is no slower.
pub(super) fn found(texts: &StringViewArray, finder: &TokenFinder<'_>) -> Option<BooleanArray> {
    let outside = |view: &u128| ByteView::from(*view).length > MAX_INLINE_VIEW_LEN;
    let long = texts.views().iter().filter(|view| outside(view));
    let bytes: usize = long.map(|view| ByteView::from(*view).length as usize).sum();
    let searched: usize = texts.data_buffers().iter().map(Buffer::len).sum();
    if searched > bytes.saturating_mul(BYTES_MAX) {
        return None;
    }
    let places = Places::of(texts, finder)?;
    let found = BooleanBuffer::collect_bool(texts.len(), |row| {
        let view = texts.views()[row];
        // A null has a view, too.
        (if outside(&view) { places.may_be_in(view) } else { finder.fits_in(view as u32 as usize) })
            && !texts.is_null(row)
            && finder.is_in(texts.value(row))
    });
    Some(BooleanArray::new(found, texts.nulls().cloned()))
}

/// Where the bytes of a token begin in each buffer, ascending.
struct Places(Vec<Vec<usize>>);

impl Places {
    /// `None` if there are many.
    fn of(texts: &StringViewArray, finder: &TokenFinder<'_>) -> Option<Self> {
        let mut left = texts.len() / ROWS_PER_PLACE;
        let mut places = Vec::with_capacity(texts.data_buffers().len());
        for buffer in texts.data_buffers() {
            let found: Vec<usize> = finder.places(buffer).take(left + 1).collect();
            left = left.checked_sub(found.len())?;
            places.push(found);
        }
        Some(Self(places))
    }

    /// Whether one begins in a text that is not inside of its view.
    fn may_be_in(&self, view: u128) -> bool {
        let view = ByteView::from(view);
        let Some(places) = self.0.get(view.buffer_index as usize).filter(|places| !places.is_empty()) else {
            return false;
        };
        let start = view.offset as usize;
        let first = places.partition_point(|place| *place < start);
        places.get(first).is_some_and(|place| *place < start + view.length as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found is what is found text by text.
    fn check(texts: &StringViewArray, token: &str) {
        let finder = TokenFinder::new(token);
        let wanted = texts.iter().map(|text| text.map(|text| finder.is_in(text)));
        if let Some(found) = found(texts, &finder) {
            assert_eq!(found, wanted.collect::<BooleanArray>(), "{token:?} in {texts:?}");
        }
    }

    fn lines(count: usize) -> StringViewArray {
        (0..count).map(|line| Some(format!("request {line} was served by id{}", line % 97))).collect()
    }

    #[test]
    fn one_line_of_many() {
        let texts = lines(2_000);
        let finder = TokenFinder::new("1234");
        let found = found(&texts, &finder).unwrap();
        assert_eq!(found.true_count(), 1);
        assert!(found.value(1_234));
    }

    #[test]
    fn texts_within_their_views() {
        let texts: StringViewArray = (0..500)
            .map(|line| {
                Some(if line % 7 == 0 { format!("id{line}") } else { format!("a longer text, id{line}") })
            })
            .collect();
        for token in ["id7", "id8", "id70", "id700", "text"] {
            check(&texts, token);
        }
        assert_eq!(found(&texts, &TokenFinder::new("id70")).unwrap().true_count(), 1);
    }

    #[test]
    fn few_rows_of_a_large_buffer_are_left_alone() {
        let texts = lines(2_000);
        assert!(found(&texts.slice(0, 100), &TokenFinder::new("1234")).is_none());
        assert!(found(&texts, &TokenFinder::new("served")).is_none(), "it is everywhere");
    }

    proptest! {
        #[test]
        fn it_is_found_wherever_it_stands(
            texts in prop::collection::vec(prop::option::weighted(0.9, "[ab -]{0,30}"), 0..200),
            token in "[ab -]{0,6}",
            (from, rows) in (0_usize..200, 0_usize..200),
        ) {
            let texts = StringViewArray::from(texts);
            let from = from.min(texts.len());
            check(&texts, &token);
            check(&texts.slice(from, rows.min(texts.len() - from)), &token);
        }

        #[test]
        fn a_rare_token_is_found(line in 0_usize..2_000, token in "[a-c]{2,4}") {
            let mut texts: Vec<String> = (0..2_000).map(|line| format!("a longer line of text, {line}")).collect();
            texts[line] = format!("{token} {} {token}", texts[line]);
            let texts = StringViewArray::from(texts);
            let found = found(&texts, &TokenFinder::new(&token)).unwrap();
            prop_assert_eq!(found.true_count(), 1);
            prop_assert!(found.value(line));
        }
    }
}
