use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, new_null_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Schema};
use proptest::prelude::*;

use super::pairs::Maps;
use super::space::Value;
use super::*;
use crate::batch::{LogBatch, SeriesBatch, SpanBatch};
use crate::columns::{ColumnData, Encoding};
use crate::kind::Kind;
use crate::labels::{LabelSet, Temporality};
use crate::tables::Table;

type Row = Vec<(String, String)>;

fn texts(at: &[u32], values: &[&str]) -> Texts {
    Texts { at: at.to_vec(), keys: (0..).take(at.len()).collect(), pool: values.iter().copied().collect() }
}

fn dictionary(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<DictionaryArray<Int32Type>>())
}

fn batch(kind: Kind, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let table = Table::of(kind);
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, _)| Arc::clone(table.batch_field(table.position(name).unwrap())))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn maps(rows: &[Row]) -> ArrayRef {
    let mut maps = Maps::new();
    for row in rows {
        row.iter().for_each(|(key, value)| maps.push(key, Value::Json(value)));
        maps.close();
    }
    maps.finish().unwrap()
}

/// Log records: `user.id` is promoted, everything else is in the map.
fn logs(users: &[Option<&str>], attributes: &[Row]) -> Rows {
    let rows = users.len();
    let table = batch(
        Kind::Logs,
        vec![
            ("time", Arc::new(Int64Array::from_iter_values(0..rows as i64))),
            ("service", dictionary(vec![Some("shop"); rows])),
            ("stream", dictionary(vec![Some("{app=\"a\"}"); rows])),
            ("body", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("line {row}"))))),
            ("user_id", dictionary(users.to_vec())),
            ("attributes", maps(attributes)),
        ],
    );
    LogBatch { table, attributes: None, stream_labels: vec![1], bytes: 0 }.into()
}

fn row(pairs: &[(&str, &str)]) -> Row {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The pairs of each row as a plugin sees them.
fn seen(rows: &Rows, of: Pairs) -> Vec<Row> {
    let column = |name: &str| rows.column(&format!("{}.{name}", of.prefix()), Encoding::Values).unwrap().data;
    let (ColumnData::Offsets(offsets), ColumnData::Text(keys), ColumnData::Text(values)) =
        (column("offsets"), column("key"), column("value"))
    else {
        panic!("columns of pairs have other types");
    };
    let text = |of: &crate::columns::TextBuffers, at: usize| {
        String::from_utf8(of.data[of.offsets[at] as usize..of.offsets[at + 1] as usize].to_vec()).unwrap()
    };
    let row = |ends: &[i32]| {
        (ends[0] as usize..ends[1] as usize).map(|at| (text(&keys, at), text(&values, at))).collect()
    };
    offsets.windows(2).map(row).collect()
}

fn edit(rows: &mut Rows, edits: Edits) -> Result<(), String> {
    let range = 0..rows.rows();
    rows.edit(&[(range, edits)]).map(|spoilt| assert_eq!(spoilt, []))
}

fn pairs(of: Pairs, change: impl FnOnce(&mut PairEdits)) -> Edits {
    let mut edits = PairEdits::new(of);
    change(&mut edits);
    Edits { pairs: vec![edits], ..Edits::default() }
}

#[test]
fn attributes_are_changed_wherever_they_are_stored() {
    let map = [row(&[("a", "1")]), row(&[]), row(&[("a", "2"), ("b", "\"x\"")])];
    let mut rows = logs(&[Some("ann"), None, Some("bob")], &map);
    assert_eq!(seen(&rows, Pairs::Attributes)[0], row(&[("user.id", "\"ann\""), ("a", "1")]));
    // Entries: 0 user.id, 1 a | - | 2 user.id, 3 a, 4 b
    let change = pairs(Pairs::Attributes, |edits| {
        edits.removed = vec![3];
        edits.renamed = texts(&[2], &["uid"]);
        edits.changed = texts(&[0, 4], &["\"***\"", "[1]"]);
        edits.added = Additions {
            rows: vec![1, 1, 2],
            names: vec![0, 1, 0],
            texts: vec![2, 3, 3],
            pool: ["user.id", "n", "\"eve\"", "7"].into_iter().collect(),
        };
    });
    edit(&mut rows, change).unwrap();
    let want = [
        row(&[("user.id", "\"***\""), ("a", "1")]),
        row(&[("user.id", "\"eve\""), ("n", "7")]),
        row(&[("uid", "\"bob\""), ("b", "[1]"), ("user.id", "7")]),
    ];
    assert_eq!(seen(&rows, Pairs::Attributes), want);
    let logs = rows.into_logs();
    let users = logs.table.column_by_name("user_id").unwrap().as_dictionary::<Int32Type>();
    assert_eq!(users.values().as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["***", "eve"]);
    assert_eq!(logs.attributes.unwrap().offsets[..], [0, 2, 4, 7]);
}

#[test]
fn what_was_redacted_is_in_no_buffer() {
    let mut rows = logs(&[Some("secret-user"), Some("ok")], &[row(&[("k", "\"secret-value\"")]), row(&[])]);
    let mut change = pairs(Pairs::Attributes, |edits| edits.changed = texts(&[0, 1], &["\"x\"", "\"y\""]));
    change.texts = vec![TextEdits {
        column: "body".to_owned(),
        texts: texts(&[0, 1], &["clean", "clean"]),
        nulls: Vec::new(),
    }];
    edit(&mut rows, change).unwrap();
    for column in rows.into_logs().table.columns() {
        let text = format!("{:?}", column.to_data());
        assert!(!text.contains("secret") && !text.contains("line"), "{text}");
        for buffer in column.to_data().buffers() {
            assert!(memchr::memmem::find(buffer, b"secret").is_none());
        }
    }
}

#[test]
fn columns_are_changed_added_and_emptied() {
    let mut rows = logs(&[Some("ann"), None], &[row(&[]), row(&[])]);
    let text = |column: &str, at: &[u32], values: &[&str], nulls: &[u32]| TextEdits {
        column: column.to_owned(),
        texts: texts(at, values),
        nulls: nulls.to_vec(),
    };
    let number =
        NumberEdits { column: "severity_number".to_owned(), at: vec![1], values: vec![17], nulls: vec![] };
    let change = Edits {
        texts: vec![
            text("severity", &[1], &["error"], &[]),
            text("user_id", &[], &[], &[0]),
            text("stream", &[0], &["{app=\"b\", z=\"1\"}"], &[]),
        ],
        numbers: vec![number],
        pairs: Vec::new(),
    };
    edit(&mut rows, change).unwrap();
    let logs = rows.into_logs();
    assert!(logs.table.column_by_name("user_id").is_none(), "a column without a value is left out");
    assert_eq!(logs.table.column_by_name("severity").unwrap().null_count(), 1);
    assert_eq!(logs.stream_labels, [2, 1]);
    assert_eq!(logs.table.schema().field(3).name(), "severity", "in the order of the table");
}

#[test]
fn answers_that_break_the_contract_are_refused() {
    let check = |edits: Edits, fault: &str| {
        let mut rows = logs(&[Some("ann"), None], &[row(&[("a", "1")]), row(&[])]);
        let before = seen(&rows, Pairs::Attributes);
        let error = edit(&mut rows, edits).unwrap_err();
        assert!(error.contains(fault), "{error}, not {fault}");
        assert_eq!(seen(&rows, Pairs::Attributes), before);
    };
    let text = |column: &str, texts: Texts, nulls: &[u32]| Edits {
        texts: vec![TextEdits { column: column.to_owned(), texts, nulls: nulls.to_vec() }],
        ..Edits::default()
    };
    check(text("nope", Texts::default(), &[]), "\"nope\" is no column of logs");
    check(text("time", Texts::default(), &[]), "takes no text");
    check(text("trace_id", Texts::default(), &[]), "takes no text");
    check(text("body", texts(&[2], &["x"]), &[]), "body: 2 of 2");
    check(text("body", texts(&[1, 0], &["x", "y"]), &[]), "0 follows 1");
    check(text("body", Texts { keys: vec![1], ..texts(&[0], &["x"]) }, &[]), "key 1 of 1 texts");
    check(text("body", Texts::default(), &[0]), "body may not be null");
    check(text("user_id", texts(&[0], &["x"]), &[0]), "a value and none");
    check(text("severity", texts(&[0], &["loud"]), &[]), "\"loud\" is no severity");
    check(text("stream", texts(&[0], &["{"]), &[]), "is no stream");
    check(text("service", texts(&[0], &[""]), &[]), "service is empty");
    let number = |column: &str, values: Vec<i64>| Edits {
        numbers: vec![NumberEdits { column: column.to_owned(), at: vec![0], values, nulls: vec![] }],
        ..Edits::default()
    };
    check(number("time", vec![1]), "takes no integers");
    check(number("severity_number", vec![99]), "99 is no severity_number");
    check(number("flags", vec![1 << 40]), "is no flags");
    check(number("flags", vec![]), "1 rows and 0 values");
    check(pairs(Pairs::Labels, |_| {}), "logs have no label");
    check(pairs(Pairs::Events, |_| {}), "logs have no event");
    check(pairs(Pairs::Attributes, |edits| edits.removed = vec![2]), "attr: 2 of 2");
    check(pairs(Pairs::Attributes, |edits| edits.changed = texts(&[0], &["bare"])), "not JSON text");
    check(pairs(Pairs::Attributes, |edits| edits.renamed = texts(&[0], &[""])), "a key is empty");
    let twice =
        Edits { pairs: vec![PairEdits::new(Pairs::Scope), PairEdits::new(Pairs::Scope)], ..Edits::default() };
    check(twice, "two edits of column \"scope\"");
    let huge = "x".repeat(9 << 20);
    let many = Texts { at: vec![0, 1], keys: vec![0, 0], pool: [huge.as_str()].into_iter().collect() };
    check(text("body", many, &[]), "the limit is 16777216");
    assert!(Pool::new(&[0, 2], vec![b'a', 0xff]).is_err());
    assert!(Pool::new(&[0, 1, 2], "ü".as_bytes().to_vec()).is_err());
    assert!(Pool::new(&[0, 3], b"ab".to_vec()).is_err());
    assert!(Pool::new(&[0, 2, 1], b"ab".to_vec()).is_err());
}

#[test]
fn attributes_of_events_are_changed() {
    let DataType::List(field) = Table::of(Kind::Spans)
        .batch_field(Table::of(Kind::Spans).position("events").unwrap())
        .data_type()
        .clone()
    else {
        panic!("events are a list")
    };
    let DataType::Struct(fields) = field.data_type().clone() else { panic!("of structs") };
    let attributes = maps(&[row(&[("e", "\"secret\""), ("n", "1")]), row(&[]), row(&[("e", "\"other\"")])]);
    let columns = vec![
        Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
        Arc::new(StringArray::from(vec!["exception", "retry", "exception"])),
        attributes,
        new_null_array(&DataType::Int32, 3),
    ];
    let events = StructArray::try_new(fields, columns, None).unwrap();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 2, 3]));
    let events: ArrayRef = Arc::new(ListArray::try_new(field, offsets, Arc::new(events), None).unwrap());
    let ids = |width| {
        Arc::new(FixedSizeBinaryArray::try_from_iter((0..3).map(|_| vec![1_u8; width])).unwrap()) as ArrayRef
    };
    let table = batch(
        Kind::Spans,
        vec![
            ("time", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("duration", Arc::new(Int64Array::from(vec![1, 2, 3]))),
            ("trace_id", ids(16)),
            ("span_id", ids(8)),
            ("service", dictionary(vec![Some("shop"); 3])),
            ("events", events),
        ],
    );
    let mut rows = Rows::from(SpanBatch { table, attributes: None });
    let change = pairs(Pairs::Events, |edits| {
        edits.removed = vec![1];
        edits.changed = texts(&[0, 2], &["\"***\"", "\"***\""]);
    });
    edit(&mut rows, change).unwrap();
    let masked = row(&[("e", "\"***\"")]);
    assert_eq!(seen(&rows, Pairs::Events), [masked.clone(), row(&[]), masked]);
    let added = pairs(Pairs::Events, |edits| {
        edits.added =
            Additions { rows: vec![0], names: vec![0], texts: vec![0], pool: ["1"].into_iter().collect() };
    });
    assert_eq!(edit(&mut rows, added).unwrap_err(), "nothing can be added to events");
}

fn series(labels: &[&[(&str, &str)]]) -> SeriesBatch {
    let set = |labels: &&[(&str, &str)]| LabelSet::new(&mut labels.to_vec(), Temporality::Delta).unwrap();
    SeriesBatch { labels: labels.iter().map(set).collect() }
}

#[test]
fn label_sets_stay_sorted_and_unique() {
    let mut batch = series(&[
        &[("__name__", "up"), ("b", "1"), ("pod", "x")],
        &[("__name__", "up"), ("a", "1")],
        &[("__name__", "up"), ("a", "1"), ("b", "2")],
    ]);
    // 0 __name__, 1 b, 2 pod | 3 __name__, 4 a | 5 __name__, 6 a, 7 b
    let change = pairs(Pairs::Labels, |edits| {
        edits.removed = vec![2, 3];
        edits.renamed = texts(&[1, 6], &["z", "b"]);
        edits.added = Additions {
            rows: vec![0],
            names: vec![0],
            texts: vec![1],
            pool: ["env", "prod"].into_iter().collect(),
        };
    });
    let spoilt = batch.edit(&[(0..3, change)]).unwrap();
    assert_eq!(batch.labels[0].to_string(), r#"up{env="prod", z="1"}"#);
    assert_eq!(batch.labels[0].temporality(), Temporality::Delta);
    let spoilt: Vec<_> = spoilt.iter().map(|spoilt| (spoilt.row, &*spoilt.reason)).collect();
    assert_eq!(spoilt, [(1, "missing_metric_name"), (2, "duplicate_label_names")]);
    assert!(batch.edit(&[(0..3, pairs(Pairs::Attributes, |_| {}))]).is_err());
}

/// Any numbers and texts at all.
fn any_texts() -> impl Strategy<Value = Texts> {
    let words = prop::sample::select(vec!["", "a", "user.id", "\"x\"", "7", "{", "error", "{a=\"b\"}", "ü"]);
    (
        prop::collection::vec(0_u32..12, 0..6),
        prop::collection::vec(0_u32..5, 0..6),
        prop::collection::vec(words, 0..5),
    )
        .prop_map(|(at, keys, pool)| Texts { at, keys, pool: pool.into_iter().collect() })
}

fn any_pairs() -> impl Strategy<Value = PairEdits> {
    let of = prop::sample::select(vec![Pairs::Attributes, Pairs::Resource, Pairs::Scope, Pairs::Labels]);
    (of, prop::collection::vec(0_u32..12, 0..4), any_texts(), any_texts(), any_texts(), any_texts()).prop_map(
        |(of, removed, renamed, changed, added, more)| {
            let rows = added.at.clone();
            let added = Additions { rows, names: added.keys, texts: more.keys, pool: added.pool };
            PairEdits { of, removed, renamed, changed, added }
        },
    )
}

fn any_edits() -> impl Strategy<Value = Edits> {
    let columns = ["body", "user_id", "severity", "stream", "time", "flags", "severity_number", "event_name"];
    let column = prop::sample::select(columns.map(str::to_owned).to_vec());
    let nulls = || prop::collection::vec(0_u32..6, 0..3);
    let text = (column.clone(), any_texts(), nulls()).prop_map(|(column, texts, nulls)| TextEdits {
        column,
        texts,
        nulls,
    });
    let number = (column, nulls(), prop::collection::vec(-2_i64..30, 0..3), nulls())
        .prop_map(|(column, at, values, nulls)| NumberEdits { column, at, values, nulls });
    let many = |strategy| prop::collection::vec(strategy, 0..3);
    (many(text.boxed()), prop::collection::vec(number, 0..2), prop::collection::vec(any_pairs(), 0..2))
        .prop_map(|(texts, numbers, pairs)| Edits { texts, numbers, pairs })
}

fn value_of(json: &str) -> serde_json::Value {
    serde_json::from_str(json).unwrap()
}

proptest! {
    /// Whatever an answer says, it is refused, or the batch is one of its table.
    #[test]
    fn no_answer_breaks_a_batch(one in any_edits(), other in any_edits()) {
        let users = [Some("ann"), None, Some("bob"), Some("ann"), None, None];
        let map: Vec<Row> = (0..6).map(|n| row(&[("a", "1"), ("b", "\"x\"")])[..n % 3].to_vec()).collect();
        let mut rows = logs(&users, &map);
        let before = seen(&rows, Pairs::Attributes);
        if rows.edit(&[(0..4, one), (4..6, other)]).is_err() {
            prop_assert_eq!(seen(&rows, Pairs::Attributes), before);
            return Ok(());
        }
        let logs = rows.into_logs();
        prop_assert_eq!(logs.table.num_rows(), 6);
        let table = Table::of(Kind::Logs);
        for (field, column) in logs.table.schema().fields().iter().zip(logs.table.columns()) {
            column.to_data().validate_full().unwrap();
            let known = &table.columns[table.position(field.name()).unwrap()];
            prop_assert_eq!(field.data_type(), &crate::tables::batch_type(&known.ty));
            prop_assert!(known.nullable || column.null_count() == 0);
        }
        let stream = logs.table.column_by_name("stream").unwrap().as_dictionary::<Int32Type>();
        prop_assert_eq!(logs.stream_labels.len(), stream.values().len());
        prop_assert_eq!(logs.attributes.unwrap().offsets.len(), 7);
    }

    /// Edits that keep the contract do what a list of pairs would do.
    #[test]
    fn pairs_become_what_was_asked_for(
        users in prop::collection::vec(prop::option::of("[a-c\"]{1,2}"), 1..6),
        fates in prop::collection::vec(0_u8..8, 24),
        added in prop::collection::vec((0_usize..6, 0_usize..3, 0_usize..3), 0..6),
    ) {
        let users: Vec<Option<&str>> = users.iter().map(Option::as_deref).collect();
        let map: Vec<Row> = (0..users.len()).map(|n| row(&[("a", "1"), ("user.id", "2")])[..n % 3].to_vec()).collect();
        let mut rows = logs(&users, &map);
        let (keys, values) = (["user.id", "k", "thread.name"], ["\"v\"", "true", "3"]);
        let before = seen(&rows, Pairs::Attributes);
        let mut edits = PairEdits::new(Pairs::Attributes);
        edits.renamed.pool = keys.into_iter().collect();
        edits.changed.pool = values.into_iter().collect();
        let mut want: Vec<Vec<(String, serde_json::Value)>> = Vec::new();
        let mut entry = 0;
        for row in &before {
            let mut out = Vec::new();
            for (key, value) in row {
                let (fate, mut key, mut value) = (fates[entry % fates.len()], key.clone(), value_of(value));
                if fate & 1 == 1 {
                    edits.renamed.at.push(entry as u32);
                    edits.renamed.keys.push(entry as u32 % 3);
                    key = keys[entry % 3].to_owned();
                }
                if fate & 2 == 2 {
                    edits.changed.at.push(entry as u32);
                    edits.changed.keys.push(entry as u32 % 3);
                    value = value_of(values[entry % 3]);
                }
                if fate & 4 == 4 { edits.removed.push(entry as u32) } else { out.push((key, value)) }
                entry += 1;
            }
            want.push(out);
        }
        let mut added: Vec<_> = added.into_iter().filter(|(row, ..)| *row < users.len()).collect();
        added.sort_unstable();
        edits.added.pool = keys.into_iter().chain(values).collect();
        for (row, key, value) in added {
            edits.added.rows.push(row as u32);
            edits.added.names.push(key as u32);
            edits.added.texts.push(3 + value as u32);
            want[row].push((keys[key].to_owned(), value_of(values[value])));
        }
        edit(&mut rows, Edits { pairs: vec![edits], ..Edits::default() }).unwrap();
        for (got, mut want) in seen(&rows, Pairs::Attributes).into_iter().zip(want) {
            let mut got: Vec<_> = got.into_iter().map(|(key, value)| (key, value_of(&value))).collect();
            let order = |pair: &(String, serde_json::Value)| (pair.0.clone(), pair.1.to_string());
            got.sort_by_key(order);
            want.sort_by_key(order);
            prop_assert_eq!(got, want);
        }
    }
}
