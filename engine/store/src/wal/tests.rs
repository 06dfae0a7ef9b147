//! The bytes of the log: what any version wrote must be read for ever.

use std::path::Path;

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{MetricMeta, SeriesRef};
use isinglass_model::{Counts, Kind, Tenant};

use super::frame::put_frame;
use super::header::{DATA, Header};
use super::parse::{Damage, parse};
use super::record::{self, Head};
use super::section::{put_samples, put_series, read_samples, read_series};
use crate::append::{BatchKey, Tick};
use crate::head::{Column, SampleRun};
use crate::log_id::LogId;
use crate::series::SeriesTable;

const HEADER: Header = Header { salt: 0x5EED, first: 7, void_from: 7, log: LogId([9; 16]) };

fn labels(instance: &str) -> LabelSet {
    LabelSet::new(&mut [(METRIC_NAME, "up"), ("instance", instance)], Temporality::Cumulative).unwrap()
}

fn table() -> SeriesTable {
    let table = SeriesTable::new(1, 100);
    table.restore(-5, labels("a"));
    table.restore(1 << 40, labels("b"));
    table.describe(
        "up",
        &MetricMeta { metric_type: "gauge".into(), unit: String::new(), help: "is it up".into() },
    );
    table
}

fn run() -> SampleRun {
    let series = vec![SeriesRef(0), SeriesRef(1), SeriesRef(0)];
    let values = vec![1.5, f64::from_bits(0x7ff0_0000_0000_0002), -0.0];
    SampleRun::new(series, Column::Each(vec![1_000, 1_000, 999]), values, Column::Constant(0))
}

fn head() -> Head {
    let mut counts = Counts { received: 5, stored: 3, ..Counts::default() };
    counts.rejected.insert("line_too_long".into(), 2);
    Head {
        tenant: Tenant::new("acme").unwrap(),
        time_unix_ms: 1_767_225_600_000,
        key: Some(BatchKey(0xABCD << 64 | 1)),
        tick: Some(Tick { covers: 6 }),
        deletes: false,
        counts,
    }
}

/// A segment with two records.
fn segment() -> Vec<u8> {
    let table = table();
    let mut body = record::begin(&head());
    let pairs = [(SeriesRef(0), 20_454), (SeriesRef(1), 20_454)];
    record::section(&mut body, Kind::Series, |out| put_series(out, &pairs, &table)).unwrap();
    record::section(&mut body, Kind::Samples, |out| {
        put_samples(out, &run(), &table);
        Ok(())
    })
    .unwrap();
    let mut bytes = HEADER.encode().to_vec();
    put_frame(&mut bytes, HEADER.salt, 7, &body);
    let plain = Head { key: None, tick: None, counts: Counts::default(), ..head() };
    put_frame(&mut bytes, HEADER.salt, 9, &record::begin(&plain));
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn golden(version: u32) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/wal/testdata/v{version}.wal"))
}

/// A new version gets a file of its own beside this one, written once with these bytes.
#[test]
fn version_2_is_written_as_ever() {
    assert_eq!(segment(), std::fs::read(golden(2)).unwrap());
}

#[test]
fn a_deletion_is_a_flag_of_a_record() {
    let deletion = Head { deletes: true, key: None, tick: None, ..head() };
    let body = record::begin(&deletion);
    assert_eq!(body[8], 4);
    assert_eq!(record::read_head(&body).unwrap(), deletion);
}

#[test]
fn stored_histograms_and_exemplars_follow_the_counts() {
    let counts = Counts { stored_histograms: 2, stored_exemplars: 1, ..head().counts };
    let split = Head { counts, ..head() };
    let (plain, body) = (record::begin(&head()), record::begin(&split));
    assert_eq!((plain[8], body[8]), (3, 3 | 8));
    assert_eq!(body[9..plain.len()], plain[9..], "what was there before stays in its place");
    assert_eq!(body[plain.len()..], [2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(record::read_head(&body).unwrap(), split);
}

#[test]
fn every_version_is_read_as_ever() {
    // The first had no identity.
    for (version, header) in [(1, Header { log: LogId::FIRST, ..HEADER }), (2, HEADER)] {
        let bytes = std::fs::read(golden(version)).unwrap();
        assert_eq!(Header::decode("x", &bytes).unwrap().unwrap(), header, "{version}");
        read_as_ever(&bytes, header);
    }
}

fn read_as_ever(bytes: &[u8], header: Header) {
    let parsed = parse(bytes, &header, None);
    assert_eq!(parsed.records.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [7, 9]);
    assert_eq!(parsed.damage, []);
    let first = record::read(&bytes[parsed.records[0].1.clone()]).unwrap();
    assert_eq!(first.head, head());
    let kinds: Vec<Kind> = first.sections.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::Series, Kind::Samples]);
    let entries = read_series(first.sections[0].1).unwrap();
    assert_eq!(
        entries.iter().map(|e| (e.series_id, e.day)).collect::<Vec<_>>(),
        [(-5, 20_454), (1 << 40, 20_454)]
    );
    assert_eq!(entries[1].labels, labels("b"));
    assert_eq!(entries[0].meta.as_ref().unwrap().help, "is it up");
    assert!(entries[1].meta.is_none());
    let read = read_samples(first.sections[1].1, &table()).unwrap();
    assert_eq!(
        (&read.series, &read.time_ms, &read.start_ms),
        (&run().series, &run().time_ms, &run().start_ms)
    );
    let bits = |run: &SampleRun| run.value.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&run()));
}

#[test]
fn sections_cut_anywhere_are_an_error() {
    let bytes = segment();
    let records = parse(&bytes, &HEADER, None).records;
    let body = &bytes[records[0].1.clone()];
    let whole = record::read(body).unwrap();
    for (kind, section) in whole.sections {
        for cut in 0..section.len() {
            let error = match kind {
                Kind::Series => read_series(&section[..cut]).err(),
                _ => read_samples(&section[..cut], &table()).err(),
            };
            assert!(error.is_some(), "{kind} cut at {cut}");
        }
    }
    let sections_at = record::begin(&head()).len();
    for cut in 0..sections_at {
        assert!(record::read(&body[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn what_a_recycled_file_held_before_is_no_record() {
    let mut bytes = Header { salt: 1, ..HEADER }.encode().to_vec();
    put_frame(&mut bytes, 1, 7, b"new");
    let end = bytes.len();
    // Higher numbers, right checksums, another salt.
    put_frame(&mut bytes, 2, 8, b"old");
    put_frame(&mut bytes, 2, 9, b"old");
    let parsed = parse(&bytes, &Header { salt: 1, ..HEADER }, None);
    assert_eq!((parsed.records.len(), parsed.damage.len()), (1, 0));
    // With a later segment it is known that 8 was lost here.
    let parsed = parse(&bytes, &Header { salt: 1, ..HEADER }, Some(9));
    assert_eq!(parsed.damage, [Damage { bytes: end..bytes.len(), after: 7 }]);
    // And that it was not.
    let parsed = parse(&bytes, &Header { salt: 1, ..HEADER }, Some(8));
    assert_eq!((parsed.records.len(), parsed.damage.len()), (1, 0));
}

#[test]
fn void_records_are_skipped() {
    let mut bytes = HEADER.encode().to_vec();
    for seq in 7..10 {
        put_frame(&mut bytes, HEADER.salt, seq, b"x");
    }
    assert_eq!(parse(&bytes, &HEADER, Some(8)).records.len(), 1);
    assert_eq!(parse(&bytes, &HEADER, None).records.len(), 3);
}

#[test]
fn a_header_survives_damage_of_one_copy() {
    let mut bytes = HEADER.encode();
    for at in 0..56 {
        bytes[at] ^= 0x10;
        assert_eq!(Header::decode("x", &bytes).unwrap(), Some(HEADER), "byte {at}");
        bytes[at] ^= 0x10;
    }
    assert_eq!(Header::decode("x", &[0; DATA]).unwrap(), None);
    assert_eq!(Header::decode("x", &[]).unwrap(), None);
}
