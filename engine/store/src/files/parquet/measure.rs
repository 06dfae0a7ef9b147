use std::collections::BTreeMap;
use std::io::Read as _;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use super::*;
use arrow_array::RecordBatch;
use crate::tables::{SeriesRun, SortedSamples};

fn cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn report(name: &str, rows: usize, cpu: u64, encoded: &[Encoded]) {
    let bytes: u64 = encoded.iter().map(|e| e.size_bytes).sum();
    println!("== {name}: {rows} rows, {bytes} B, {:.3} B/row, {:.1} ns/row, {} files", bytes as f64 / rows as f64, cpu as f64 / rows as f64, encoded.len());
    let mut columns: BTreeMap<String, (i64, i64, String)> = BTreeMap::new();
    let mut chunks = 0i64;
    for e in encoded {
        let all = bytes::Bytes::from(e.payload.iter().flat_map(|p| p.to_vec()).collect::<Vec<_>>());
        let meta = ParquetRecordBatchReaderBuilder::try_new(all).unwrap().metadata().clone();
        for rg in meta.row_groups() { for c in rg.columns() {
            let x = columns.entry(c.column_path().string()).or_default();
            x.0 += c.compressed_size(); x.1 += c.uncompressed_size(); chunks += c.compressed_size();
            x.2 = format!("{:?}", c.encodings().collect::<Vec<_>>());
        } }
    }
    println!("   footer+index {:.3} B/row", (bytes as i64 - chunks) as f64 / rows as f64);
    for (n, (c, u, e)) in columns { if c as f64 / rows as f64 > 0.004 { println!("   {n:40} {:.3} B/row ({:.3} raw) {e}", c as f64 / rows as f64, u as f64 / rows as f64); } }
}

#[test] #[ignore]
fn metrics() {
    let mut f = std::fs::File::open("/tmp/files-data/metrics.bin").unwrap();
    let mut all = Vec::new(); f.read_to_end(&mut all).unwrap();
    let u = |a: usize| u32::from_le_bytes(all[a..a+4].try_into().unwrap()) as usize;
    let i = |a: usize| i64::from_le_bytes(all[a..a+8].try_into().unwrap());
    let (n, steps) = (u(0), u(4));
    let times: Vec<i64> = (0..steps).map(|s| i(8 + 16*n + 8*s)).collect();
    let val = |s: usize, k: usize| f64::from_bits(i(8 + 16*n + 8*steps + 8*(s*n+k)) as u64);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|k| (i(8+16*k), i(16+16*k)));
    let off = std::env::var("ISI_OFF").map_or(1i64, |v| v.parse().unwrap());
    for flushes in [1usize, 4, 12] {
        let per = steps / flushes;
        let (mut out, mut cpu) = (Vec::new(), 0);
        for fl in 0..flushes {
            let mut s = SortedSamples::default();
            for &k in &order {
                s.runs.push(SeriesRun { metric_id: i(8+16*k), series_id: i(16+16*k), rows: per as u32 });
                for t in fl*per..(fl+1)*per { s.time_ms.push(times[t] + (k as i64 * 37 % off)); s.value.push(val(t, k)); }
            }
            let before = cpu_ns();
            out.push(encode(Kind::Samples, SortedRows::Samples(s)).unwrap());
            cpu += cpu_ns() - before;
        }
        report(&format!("metrics in {flushes} flushes"), n*steps, cpu, &out);
    }
}

fn ipc(file: &str) -> Vec<RecordBatch> {
    let f = std::io::BufReader::new(std::fs::File::open(file).unwrap());
    arrow_ipc::reader::StreamReader::try_new(f, None).unwrap().map(|b| b.unwrap()).collect()
}

fn measure(kind: Kind, file: &str) {
    let batches = ipc(file);
    for parts in [1usize, 4] {
        let (mut out, mut cpu, mut rows) = (Vec::new(), 0, 0);
        for part in batches.chunks(batches.len().div_ceil(parts)) {
            rows += part.iter().map(RecordBatch::num_rows).sum::<usize>();
            let before = cpu_ns();
            out.push(encode(kind, SortedRows::Batches(part.to_vec())).unwrap());
            cpu += cpu_ns() - before;
        }
        report(&format!("{kind} in {parts} flushes"), rows, cpu, &out);
    }
}

#[test] #[ignore]
fn spans() { measure(Kind::Spans, "/tmp/files-data/spans.arrow"); }

#[test] #[ignore]
fn logs() { measure(Kind::Logs, "/tmp/files-data/logs.arrow"); }

#[tokio::test(flavor = "multi_thread")] #[ignore]
async fn tables_for_python() {
    use crate::tables::TableFiles;
    let root = std::path::PathBuf::from("/tmp/files-data/tables");
    let _ = std::fs::remove_dir_all(&root);
    let t = crate::files::Tables::open(&root, std::sync::Arc::new(isinglass_model::clock::SystemClock::new())).unwrap();
    let tenant = isinglass_model::Tenant::default();
    let b = ipc("/tmp/files-data/spans.arrow");
    t.commit(&tenant, Kind::Spans, SortedRows::Batches(b[..30].to_vec()), 3).await.unwrap();
    t.commit(&tenant, Kind::Spans, SortedRows::Batches(b[30..50].to_vec()), 4).await.unwrap();
    let b = ipc("/tmp/files-data/logs.arrow");
    t.commit(&tenant, Kind::Logs, SortedRows::Batches(b[..10].to_vec()), 5).await.unwrap();
    let mut s = SortedSamples::default();
    let mut x = 88172645463325252u64;
    for series in 0..200i64 {
        s.runs.push(SeriesRun { metric_id: series / 20, series_id: series * 7 - 300, rows: 100 });
        for i in 0..100i64 {
            x ^= x << 13; x ^= x >> 7; x ^= x << 17;
            s.time_ms.push(1795200000000 + i * 15000 + (x % 7) as i64);
            s.value.push(match series % 7 {
                0 => f64::from_bits(x),
                1 => i as f64 * 3.0,
                2 => (x % 1_000_000) as f64 / 10f64.powi((x % 16) as i32),
                3 => if i % 9 == 0 { f64::from_bits(isinglass_model::batch::STALE_NAN_BITS) } else { (x % 10_000) as f64 / 100.0 },
                4 => if i % 30 == 0 { -0.0 } else { (x % 10_000) as f64 / 1e4 },
                5 => (x >> 12) as f64 / 1e15,
                _ => (x >> 11) as f64,
            });
        }
    }
    for series in 0..3 { t.commit(&tenant, Kind::Samples, SortedRows::Samples(s.clone()), series + 1).await.unwrap(); }
}
