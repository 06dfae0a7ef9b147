//! CPU of matchers over a million series, of which a label has 250,000 distinct values: `cargo bench
//! -p isinglass-unify -p isinglass-store --bench matchers`. With an argument, of as many series.
//!
//! First = an expression that was not asked before. Again = the same a second time. After one more =
//! the same once a series has come. Divan measures wall time only, so this is a program of its own.

use std::sync::Arc;

use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{Fingerprint, SeriesResolver as _};
use isinglass_store::{Append, Durability, MatchOp, Matcher, NoObserver, Store, StoreConfig};

const SERIES: usize = 1_000_000;
const SERIES_PER_POD: usize = 4;
const AT_ONCE: usize = 20_000;
const TIMES: usize = 7;

/// What it is and its matcher on the name of a pod, which is `checkout-3-00c0ffee-x7k2f`.
const CASES: [(&str, MatchOp, &str); 13] = [
    ("a start and a class", MatchOp::Regex, "cart-1.*[0-3]"),
    ("a part that one value has", MatchOp::Regex, ".*c0ffe.*"),
    ("the end", MatchOp::Regex, ".*k2f"),
    ("start and end", MatchOp::Regex, "checkout.*77"),
    ("two parts, one rare", MatchOp::Regex, ".*cart.*c0ffe.*"),
    ("a part that a fifth have, and a class", MatchOp::Regex, ".*cart-[0-9]+-0.*2"),
    ("a part that all have", MatchOp::Regex, ".*-[0-9]+-.*[a-f]{3}.*"),
    ("no text", MatchOp::Regex, ".*[a-f]{6}.*"),
    ("no text, all classes", MatchOp::Regex, "[^0]+[0-3].*[4-6]"),
    ("one of two", MatchOp::Regex, ".*(c0ffe|badca).*"),
    ("upper or lower case", MatchOp::Regex, "(?i).*C0FFE.*"),
    ("letters of any language", MatchOp::Regex, ".*\\pL{7}-[1-3].*"),
    ("not", MatchOp::NotRegex, ".*cart.*[0-3]"),
];

fn main() {
    let argument = std::env::args().filter_map(|argument| argument.parse().ok()).next();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(argument.unwrap_or(SERIES)));
}

async fn measure(series: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = StoreConfig {
        data_dir: folder.path().to_owned(),
        durability: Durability::Os,
        series_max: series * 2,
        head_bytes: 4 << 30,
        flush_bytes: 4 << 30,
        ..StoreConfig::default()
    };
    let store = Store::open(config, Arc::new(SystemClock::new()), Arc::new(NoObserver)).await;
    let store = store.expect("the store opens");
    let tenant = Tenant::default();
    let mut next = 0;
    while next < series {
        next = add(&store, &tenant, next, AT_ONCE.min(series - next)).await;
    }
    println!("{:40} {:>8} {:>9} {:>9} {:>15}", "CPU-ms, median", "found", "first", "again", "after one more");
    for (what, op, expression) in CASES {
        let (mut first, mut again, mut after, mut found) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for time in 0..TIMES {
            // Another expression that means the same.
            let matcher = [Matcher::new("pod", op, format!("{expression}(?:){{{time}}}"))];
            let view = store.view(&tenant).await.expect("a view");
            let ask = || timed(|| view.series().select(&matcher).expect("the matcher is read").len());
            let (milliseconds, selected) = ask();
            first.push(milliseconds);
            again.push(ask().0);
            next = add(&store, &tenant, next, 1).await;
            after.push(ask().0);
            found = selected;
        }
        let median = |mut of: Vec<f64>| {
            of.sort_by(f64::total_cmp);
            of[TIMES / 2]
        };
        println!("{what:40} {found:8} {:9.2} {:9.3} {:15.2}", median(first), median(again), median(after));
    }
}

/// Adds series; the number of the next.
async fn add(store: &Store, tenant: &Tenant, first: usize, count: usize) -> usize {
    let mut resolver = store.resolver(tenant).await.expect("a resolver");
    let mut append = Append { life: resolver.life(), ..Append::new(tenant.clone()) };
    for n in first..first + count {
        let known = resolver.intern(Fingerprint(n as u128 + 1), labels(n)).expect("there is room");
        append.samples.push(known.series, 1_700_000_000_000, 1.0, 0);
    }
    store.append(append).await.expect("the store takes writes");
    first + count
}

fn labels(n: usize) -> LabelSet {
    let pod = n / SERIES_PER_POD;
    let service = ["checkout", "cart", "payment", "frontend", "catalogue"][pod % 5];
    // Spread over all bits, the same in each run.
    let hash = (pod as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letter = |at: u32| char::from(b"bcdfghjklmnpqrstvwxz2456789"[(hash >> (at * 5)) as usize % 27]);
    let end: String = (0..5).map(letter).collect();
    let pod = format!("{service}-{}-{:08x}-{end}", pod / 5 % 10, hash >> 32);
    let metric = format!("http_requests_{}_total", n % SERIES_PER_POD);
    let mut labels =
        [(METRIC_NAME, metric.as_str()), ("cluster", "eu-1"), ("job", service), ("pod", pod.as_str())];
    LabelSet::new(&mut labels, Temporality::Unspecified).expect("the labels are sorted")
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1_000.0 + time.tv_nsec as f64 / 1_000_000.0
    };
    let before = now();
    let value = work();
    (now() - before, value)
}
