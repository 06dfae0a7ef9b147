//! Torn tails and flipped bits.

use super::*;
use crate::wal::segments_of;

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
    assert_eq!(error.to_string(), "cannot read wal segment: version 99, this release reads 1");
}
