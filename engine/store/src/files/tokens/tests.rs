use std::path::Path as FilePath;

use arrow_array::{Array as _, StringArray};
use isinglass_model::tokens::{id_hashes, id_hashes_of_part};
use proptest::prelude::*;

use super::*;
use crate::tables::DataFile;

fn index_of(texts: &[Option<String>]) -> bytes::Bytes {
    let mut builder = Builder::new();
    for some in texts.chunks(1_000) {
        builder.push(&StringArray::from(some.to_vec())).unwrap();
    }
    builder.finish()
}

fn file(rows: usize, index: &[u8]) -> DataFile {
    DataFile {
        path: Path::parse("t*1/logs/a.parquet").unwrap(),
        size_bytes: 1,
        rows: rows as u64,
        time: None,
        metric_id: None,
        level: 0,
        accepted: 0,
        kept: None,
        crc32c: None,
        token_index_bytes: Some(index.len() as u64),
        attribute_columns: [].into(),
    }
}

/// Rows of all blocks that may have a token.
fn rows_with(index: &[u8], rows: usize, hash: u64) -> Vec<std::ops::Range<usize>> {
    let header = TokenIndex::parse(index, &file(rows, index)).unwrap();
    let stripe = header.stripe_of(hash);
    let range = header.range_of(stripe);
    let content = &index[range.start as usize..range.end as usize];
    header.check(stripe, content).unwrap();
    let mut start = 0;
    let mut found = Vec::new();
    for (rows, has) in header.rows().iter().zip(TokenIndex::blocks_with(content, hash)) {
        let end = start + *rows as usize;
        if has {
            found.push(start..end);
        }
        start = end;
    }
    found
}

/// Every identifier of every row is found.
pub(in crate::files) fn check(index: &[u8], texts: &StringArray) {
    let header = TokenIndex::parse(index, &file(texts.len(), index)).unwrap();
    let mut row = 0;
    for (block, rows) in header.rows().iter().enumerate() {
        for text in texts.iter().skip(row).take(*rows as usize).flatten() {
            id_hashes(text, |hash| {
                let range = header.range_of(header.stripe_of(hash));
                let stripe = &index[range.start as usize..range.end as usize];
                header.check(header.stripe_of(hash), stripe).unwrap();
                assert!(TokenIndex::blocks_with(stripe, hash)[block], "{text}");
            });
        }
        row += *rows as usize;
    }
}

fn hash(token: &str) -> u64 {
    id_hashes_of_part(token, true, true)[0]
}

#[test]
fn paths() {
    let check = |file: &str, index: Option<&str>| {
        let file = Path::parse(file).unwrap();
        let found = path_of(&file);
        assert_eq!(found.as_ref().map(Path::as_ref), index);
        if let Some(index) = found {
            assert_eq!(file_of(&index), Some(file));
        }
    };
    check("t*1/logs/0198-a.parquet", Some("t*1/logs/_index/0198-a.tokens"));
    check("t/spans/0198-a.parquet", None);
    check("t/logs/0198-a", None);
    for index in ["t/logs/_index/x.parquet", "t/logs/x.tokens", "t/spans/_index/x.tokens", "x.tokens"] {
        assert_eq!(file_of(&Path::parse(index).unwrap()), None, "{index}");
    }
}

#[test]
fn a_token_is_in_few_blocks() {
    let line = |row: usize| Some(format!("level=info user=u{:07} took 12ms", row * 7));
    let texts: Vec<_> = (0..100_000).map(line).collect();
    let index = index_of(&texts);
    assert!(index.len() < 140_000, "{} bytes for 100,000 tokens", index.len());
    let mut blocks = 0;
    for row in (0..100_000).step_by(997) {
        let found = rows_with(&index, texts.len(), hash(&format!("u{:07}", row * 7)));
        assert!(found.iter().any(|rows| rows.contains(&row)), "{row}");
        assert!(found.iter().all(|rows| rows.len() <= 8_192));
        blocks += found.len();
    }
    let absent: usize =
        (0..1_000).map(|n| rows_with(&index, texts.len(), hash(&format!("v{n:07}"))).len()).sum();
    let all = TokenIndex::parse(&index, &file(texts.len(), &index)).unwrap().rows().len();
    assert!(blocks < 101 * 3, "{blocks} blocks for 101 tokens");
    assert!(absent * 50 < 1_000 * all, "more than 2 % of {all} blocks are taken for others: {absent}");
}

/// Lines without identifiers take 32 bytes for 8,192 of them.
#[test]
fn few_tokens_take_little() {
    let texts = vec![Some("nothing to see".to_owned()); 20_000];
    let index = index_of(&texts);
    assert_eq!(index.len(), 24 + 3 * 4 + 4 + 4 + 3 * 32);
    assert!(rows_with(&index, 20_000, hash("abc1234")).is_empty());
    let none = index_of(&[]);
    assert!(TokenIndex::parse(&none, &file(0, &none)).unwrap().rows().is_empty());
}

/// A row larger than a filter, and more rows than filters are held for.
#[test]
fn what_is_too_much_is_unknown_and_not_absent() {
    let huge: String = (0..200_000).map(|n| format!("t{n:06} ")).collect();
    let texts = [Some("first1".to_owned()), Some(huge), None, Some("last11".to_owned())];
    let index = index_of(&texts);
    assert!(index.len() < 10_000);
    for token in ["first1", "t000000", "t199999", "last11"] {
        assert!(!rows_with(&index, 4, hash(token)).is_empty(), "{token}");
    }
    // Four such filters and no more.
    let row: String = (0..3_400).map(|n| format!("t{n:06} ")).collect();
    let mut builder = Builder::holding(16 << 10);
    let rows = StringArray::from(vec![row; 10]);
    (0..2).for_each(|_| builder.push(&rows).unwrap());
    builder.push(&StringArray::from(vec!["last11"])).unwrap();
    let index = builder.finish();
    assert_eq!(TokenIndex::parse(&index, &file(21, &index)).unwrap().rows(), [1, 1, 1, 1, 17]);
    assert!(rows_with(&index, 21, hash("last11")).contains(&(4..21)));
}

#[test]
fn what_is_not_right_is_refused() {
    let texts: Vec<_> = (0..3_000).map(|n| Some(format!("id=x{n:06}"))).collect();
    let index = index_of(&texts).to_vec();
    let parse = |index: &[u8]| TokenIndex::parse(index, &file(3_000, index));
    let header = parse(&index).unwrap();
    let header_bytes = header.range_of(0).start as usize;
    for at in 0..header_bytes {
        let mut wrong = index.clone();
        wrong[at] ^= 1 << (at % 8);
        parse(&wrong).unwrap_err();
        parse(&index[..at]).unwrap_err();
    }
    for at in header_bytes..index.len() {
        let mut wrong = index.clone();
        wrong[at] ^= 1 << (at % 8);
        let stripe = (at - header_bytes) / (header.range_of(0).end as usize - header_bytes);
        let range = header.range_of(stripe);
        header.check(stripe, &wrong[range.start as usize..range.end as usize]).unwrap_err();
    }
    let mut newer = index.clone();
    newer[8] = 2;
    assert_eq!(parse(&newer), Err(UnusableIndex::Version(2)));
    let other = TokenIndex::parse(&index, &file(2_999, &index));
    assert_eq!(other, Err(UnusableIndex::Damaged("it is of a file with another number of rows")));
    let other = TokenIndex::parse(&index, &file(3_000, &index[1..]));
    assert_eq!(other, Err(UnusableIndex::Damaged("its sizes do not agree")));
}

/// What this release writes is what it wrote when the format was described.
#[test]
fn golden() {
    let path = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/token-index-v1.tokens");
    let mut texts: Vec<_> =
        (0..5_000).map(|n| Some(format!("GET /cart/{n} user_id=u{:06} ok", n % 4_000))).collect();
    texts.extend(
        (0..10_000).map(|n| (n % 3 == 0).then(|| format!("trace 4bf92f3577b34da6a3ce929d0e0e{n:04x}"))),
    );
    texts.extend(vec![Some("nothing".to_owned()); 9_000]);
    let index = index_of(&texts);
    if !path.exists() {
        std::fs::write(&path, &index).unwrap();
        panic!("{} was made: look at it and commit it", path.display());
    }
    let golden = std::fs::read(&path).unwrap();
    for (token, row) in [("u000000", 0), ("u003999", 3_999), ("4bf92f3577b34da6a3ce929d0e0e0003", 5_003)] {
        let found = rows_with(&golden, texts.len(), hash(token));
        assert!(found.iter().any(|rows| rows.contains(&row)), "{token}: {found:?}");
    }
    assert!(rows_with(&golden, texts.len(), hash("u004001")).len() <= 1);
    assert!(golden == index, "another index is written for the same rows");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_token_is_missed(
        lines in prop::collection::vec(prop::option::of("([a-z0-9]{1,9}[ =\"é-]){0,4}"), 1..200),
        repeat in 1_usize..60,
    ) {
        let texts: Vec<Option<String>> =
            (0..repeat).flat_map(|n| lines.iter().map(move |line| line.as_ref().map(|line| format!("{line}{n}")))).collect();
        check(&index_of(&texts), &StringArray::from(texts));
    }
}
