//! Torn tails and flipped bits.

use super::*;
use crate::wal::header::DATA;
use crate::wal::{Header, parse, segments_of};

/// The files of a WAL with some records, and the body of each.
async fn written(records: usize) -> (SimDisk, Vec<String>) {
    let acme = tenant("acme");
    let world = World::new(StoreConfig { wal_segment_bytes: 8 << 10, ..small() }).await;
    let bodies: Vec<String> = (0..records).map(|n| format!("line {n:04}")).collect();
    for body in &bodies {
        world.store.append(log_append(&acme, std::slice::from_ref(body))).await.unwrap();
    }
    let disk = world.disk.kill();
    drop(world);
    (disk, bodies)
}

fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    segments_of(disk)
        .unwrap()
        .into_iter()
        .map(|found| (found.name.clone(), disk.bytes(&found.name)))
        .collect()
}

async fn recovered(files: &[(String, Vec<u8>)]) -> (Vec<String>, u64) {
    let world = World::on(SimDisk::holding(files), small(), Arc::new(NoObserver)).await;
    (world.logs(&tenant("acme")).await, world.store.stats().quarantined_records)
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut() {
    let (disk, bodies) = written(4).await;
    let files = files(&disk);
    assert_eq!(files.len(), 1);
    let (name, bytes) = &files[0];
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut seen = 0;
    for cut in 128..=end + 8 {
        // Cut off, and overwritten with what a recycled file may hold.
        for filler in [None, Some(0_u8), Some(0xA5)] {
            let mut torn = bytes[..cut].to_vec();
            if let Some(filler) = filler {
                torn.resize(bytes.len(), filler);
            }
            let (rows, quarantined) = recovered(&[(name.clone(), torn)]).await;
            assert_eq!(rows, bodies[..rows.len()], "cut at {cut}");
            assert_eq!(quarantined, 0, "cut at {cut}");
            if filler == Some(0) {
                assert!(rows.len() >= seen, "cut at {cut}");
                seen = rows.len();
            }
        }
    }
    assert_eq!(seen, bodies.len());
}

#[tokio::test]
async fn a_flipped_bit_costs_the_records_it_touches_and_is_reported() {
    let (disk, bodies) = written(40).await;
    let files = files(&disk);
    assert!(files.len() > 2, "{} segments", files.len());
    let mut place = 0_usize;
    for round in 0..600 {
        // A walk that reaches every part of every file.
        place = place.wrapping_add(7_919);
        let mut damaged = files.clone();
        let file = round % damaged.len();
        let used = damaged[file].1.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let bit = place % (used * 8);
        damaged[file].1[bit / 8] ^= 1 << (bit % 8);
        let (rows, quarantined) = recovered(&damaged).await;
        let lost = bodies.iter().filter(|body| !rows.contains(body)).count();
        assert!(rows.iter().all(|row| bodies.contains(row)), "a wrong row: {rows:?}");
        assert!(lost <= 1, "bit {bit} of file {file} cost {lost} records");
        let last_record = lost == 1 && !rows.contains(bodies.last().unwrap());
        assert!(lost == 0 || quarantined == 1 || last_record, "bit {bit} of file {file} was not reported");
    }
}

/// A WAL of one segment of 64 KiB that is nearly full, and where each record ends.
async fn full_segment() -> (String, Vec<u8>, Vec<(u64, std::ops::Range<usize>)>) {
    let acme = tenant("acme");
    let world = World::new(StoreConfig { wal_segment_bytes: 64 << 10, ..small() }).await;
    let mut n = 0;
    while world.store.stats().wal_segments < 2 {
        let body = format!("line {n:04} {}", "x".repeat(n % 700));
        world.store.append(log_append(&acme, &[body])).await.unwrap();
        n += 1;
    }
    let files = files(&world.disk.kill());
    let (name, bytes) = files.into_iter().next().unwrap();
    let header = Header::decode("x", &bytes).unwrap().unwrap();
    let records = parse(&bytes, &header, None).records;
    (name, bytes, records)
}

#[tokio::test]
async fn a_segment_of_64_kib_is_read_whatever_it_is_cut_to() {
    let (name, bytes, records) = full_segment().await;
    assert!(
        bytes.len() >= 64 << 10 && records.len() > 70,
        "{} bytes, {} records",
        bytes.len(),
        records.len()
    );
    assert!(records.last().unwrap().1.end > 60 << 10);
    let header = Header::decode("x", &bytes).unwrap().unwrap();
    for cut in DATA..=bytes.len() {
        let parsed = parse(&bytes[..cut], &header, None);
        let whole = records.iter().take_while(|(_, body)| body.end <= cut).count();
        assert_eq!((&parsed.records[..], &parsed.damage[..]), (&records[..whole], &[][..]), "cut at {cut}");
    }
    // The whole store, at places spread over it.
    for cut in (DATA..bytes.len()).step_by(997) {
        let whole = records.iter().take_while(|(_, body)| body.end <= cut).count();
        let (rows, quarantined) = recovered(&[(name.clone(), bytes[..cut].to_vec())]).await;
        assert_eq!((rows.len(), quarantined), (whole, 0), "cut at {cut}");
    }
}

#[tokio::test]
async fn ten_thousand_turned_bits_give_no_wrong_record() {
    let (_, bytes, records) = full_segment().await;
    let header = Header::decode("x", &bytes).unwrap().unwrap();
    let next = records.last().unwrap().0 + 1;
    let end = records.last().unwrap().1.end;
    let mut place = 0_usize;
    for round in 0..10_000 {
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (place >> 20) % (end * 8);
        let mut turned = bytes.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        // One copy of the header survives; it says the same.
        assert_eq!(Header::decode("x", &turned).unwrap().as_ref(), Some(&header), "round {round}");
        let parsed = parse(&turned, &header, Some(next));
        let found: BTreeMap<u64, &[u8]> =
            parsed.records.iter().map(|(seq, body)| (*seq, &turned[body.clone()])).collect();
        for (seq, body) in &found {
            let original = records.iter().find(|(number, _)| number == seq);
            let original = original.unwrap_or_else(|| panic!("bit {bit}: record {seq} came from nowhere"));
            assert_eq!(*body, &bytes[original.1.clone()], "bit {bit}: a wrong record {seq}");
        }
        let lost = records.len() - found.len();
        assert!(lost <= 1, "bit {bit} cost {lost} records");
        assert_eq!(lost, parsed.damage.len(), "bit {bit} was not reported");
    }
}

#[tokio::test]
async fn a_segment_without_a_header_is_set_aside() {
    let (disk, bodies) = written(40).await;
    let mut files = files(&disk);
    files[1].1[..128].fill(0);
    let (rows, quarantined) = recovered(&files).await;
    assert!(rows.len() < bodies.len() && rows.first() == bodies.first() && rows.last() == bodies.last());
    assert_eq!(quarantined, 1);
}

#[tokio::test]
async fn a_segment_of_a_newer_release_is_refused() {
    let (disk, _) = written(1).await;
    let mut files = files(&disk);
    for copy in [0, 64] {
        let header = &mut files[0].1[copy..copy + 64];
        header[8] = 99;
        let crc = crc32c::crc32c(&header[..32]).to_le_bytes();
        header[32..36].copy_from_slice(&crc);
    }
    let clock = Arc::new(ManualClock::at(0));
    let observer: Arc<dyn Observer> = Arc::new(NoObserver);
    let tables = Arc::new(MemoryTables::default());
    let error = open(&small(), &clock, &observer, &SimDisk::holding(&files), &tables).await.unwrap_err();
    let named = format!("cannot read wal segment {}: version 99, this release reads 1 to 2", files[0].0);
    assert_eq!(error.to_string(), named);
}
