//! Bits that fall over in a log of several segments: what is lost is what was touched, it is
//! told, and its bytes are kept.

use isinglass_model::clock::SystemClock;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::wal::header::DATA;
use crate::wal::scan::headers_of;
use crate::wal::{Disk as _, Header, parse};

/// The number of a record and where it lies in its file, with its frame.
type Places = Vec<(u64, std::ops::Range<usize>)>;

struct Log {
    /// Oldest first.
    files: Vec<(String, Vec<u8>)>,
    headers: Vec<Header>,
    places: Vec<Places>,
    /// Of the record numbered from 1.
    bodies: Vec<String>,
}

async fn written(records: usize) -> Log {
    let acme = tenant("acme");
    let world = World::new(StoreConfig { wal_segment_bytes: 8 << 10, ..small() }).await;
    let bodies: Vec<String> =
        (0..records).map(|n| format!("line {n:04} {}", "x".repeat(n * 7 % 300))).collect();
    for body in &bodies {
        world.store.append(log_append(&acme, std::slice::from_ref(body))).await.unwrap();
    }
    let disk = world.disk.kill();
    let mut log = Log { files: Vec::new(), headers: Vec::new(), places: Vec::new(), bodies };
    for (found, header) in headers_of(&disk).unwrap() {
        let bytes = disk.read(&found.name, usize::MAX).unwrap();
        let records = parse(&bytes, &header.unwrap(), None).records;
        let mut at = DATA;
        let places = records.into_iter().map(|(seq, body)| {
            let frame = at..body.end.next_multiple_of(8);
            at = frame.end;
            (seq, frame)
        });
        log.places.push(places.collect());
        log.headers.push(header.unwrap());
        log.files.push((found.name, bytes));
    }
    log
}

impl Log {
    /// A bit of what was written, in any of the files.
    fn bit(&self, rng: &mut StdRng) -> (usize, usize) {
        let file = rng.random_range(0..self.files.len());
        let end = self.places[file].last().unwrap().1.end;
        (file, rng.random_range(0..end * 8))
    }

    /// Which record a bit belongs to.
    fn record_at(&self, file: usize, bit: usize) -> Option<u64> {
        self.places[file].iter().find(|(_, place)| place.contains(&(bit / 8))).map(|(seq, _)| *seq)
    }

    fn is_last(&self, record: Option<u64>) -> bool {
        record == Some(self.bodies.len() as u64)
    }
}

#[tokio::test]
async fn ten_thousand_turned_bits_in_several_segments_cost_what_they_touch() {
    let log = written(120).await;
    assert!(log.files.len() > 5, "{} segments", log.files.len());
    let mut rng = StdRng::seed_from_u64(4);
    let (mut costs, mut padding) = (0, 0);
    for round in 0..10_000 {
        let (file, bit) = log.bit(&mut rng);
        let (right, case) = (&log.files[file].1, format!("round {round}: bit {bit} of file {file}"));
        let mut turned = right.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        let header = Header::decode("x", &turned).unwrap();
        assert_eq!(header, Some(log.headers[file]), "{case}");
        let void = log.headers[file + 1..].iter().map(|header| header.void_from).min();
        let parsed = parse(&turned, &log.headers[file], void);
        for (seq, body) in &parsed.records {
            let known = log.places[file].iter().any(|(known, place)| known == seq && place.end >= body.end);
            assert!(known && turned[body.clone()] == right[body.clone()], "{case}: a wrong record {seq}");
        }
        let lost: Vec<u64> = log.places[file]
            .iter()
            .map(|(seq, _)| *seq)
            .filter(|seq| parsed.records.iter().all(|(found, _)| found != seq))
            .collect();
        let touched = log.record_at(file, bit);
        assert!(lost.is_empty() || lost == touched.as_slice(), "{case}: {lost:?} instead of {touched:?}");
        // What follows the last record of all is a torn tail, and so is a broken last record.
        let reported = parsed.damage.iter().any(|damage| damage.bytes.contains(&(bit / 8)));
        assert!(lost.is_empty() || reported || log.is_last(touched), "{case} was not reported");
        assert!(parsed.damage.is_empty() || !lost.is_empty(), "{case}: damage that cost nothing");
        costs += lost.len();
        padding += usize::from(lost.is_empty());
    }
    assert!(costs > 9_000 && padding > 100, "{costs} records lost, {padding} bits that say nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turned_bits_are_set_aside_told_and_refused_by_strict_in_a_real_folder() {
    let (log, acme) = (written(60).await, tenant("acme"));
    let mut rng = StdRng::seed_from_u64(5);
    let mut lost_once = 0;
    for _ in 0..16 {
        let (file, bit) = log.bit(&mut rng);
        let case = format!("bit {bit} of file {file}");
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("wal")).unwrap();
        let mut files = log.files.clone();
        files[file].1[bit / 8] ^= 1 << (bit % 8);
        for (name, bytes) in &files {
            std::fs::write(folder.path().join("wal").join(name), bytes).unwrap();
        }
        let open = |strict| {
            let config = StoreConfig { data_dir: folder.path().to_owned(), strict, ..small() };
            Store::open(config, Arc::new(SystemClock::new()), Arc::new(NoObserver))
        };
        let touched = log.record_at(file, bit);
        let refused = open(true).await.err().map(|error| error.to_string());
        assert!(!folder.path().join("quarantine").exists(), "{case}: strict changed something");
        let store = open(false).await.unwrap();
        let view = store.view(&acme).await.unwrap();
        let head = view.table(Kind::Logs).head_batches(&HeadFilter::default()).unwrap();
        let rows: Vec<String> = head.iter().flat_map(|batch| texts(Kind::Logs, batch)).collect();
        let missing: Vec<&String> = log.bodies.iter().filter(|body| !rows.contains(body)).collect();
        assert_eq!(rows.len() + missing.len(), log.bodies.len(), "{case}: {rows:?}");
        let stats = store.stats();
        if missing.is_empty() || log.is_last(touched) {
            assert_eq!((refused, stats.lost.len()), (None, 0), "{case}");
            continue;
        }
        lost_once += 1;
        let record = touched.unwrap();
        assert_eq!(missing, [&log.bodies[record as usize - 1]], "{case}");
        let refused = refused.unwrap_or_else(|| panic!("{case}: strict took it"));
        assert!(refused.contains(&files[file].0) && refused.contains("`strict` refuses"), "{refused}");
        let lost = &stats.lost[..];
        assert_eq!(lost.len(), 1, "{case}: {lost:?}");
        let place = &log.places[file].iter().find(|(seq, _)| *seq == record).unwrap().1;
        assert_eq!((&lost[0].segment, lost[0].offset), (&files[file].0, place.start as u64), "{case}");
        assert_eq!(lost[0].records, (record, record), "{case}");
        let kept =
            folder.path().join("quarantine").join(format!("{}-{}.damaged", files[file].0, place.start));
        let kept = std::fs::read(kept).unwrap();
        assert_eq!(kept, files[file].1[place.start..place.start + kept.len()], "{case}");
        assert!(files[file].1[place.start + kept.len()..place.end].iter().all(|byte| *byte == 0), "{case}");
    }
    assert!(lost_once > 8, "{lost_once}");
}
