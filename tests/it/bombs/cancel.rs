//! Whoever goes away takes the work along: the cores are free soon after.

use std::time::{Duration, Instant};

use super::cases::cases;
use super::{CONFIG, fill};
use crate::harness::{Client, Server};

/// How long a question may run before the one who asked goes away.
const ASKED_FOR: Duration = Duration::from_millis(700);

/// How long the use of the cores is looked at, and the share of one of them that an idle server
/// may take: it flushes, and counts.
const LOOK: Duration = Duration::from_millis(200);
const IDLE_SHARE: f64 = 0.4;

/// Half of all questions let go within this, looking included; each of them within that.
const SOON: Duration = Duration::from_millis(700);
const AT_LAST: Duration = Duration::from_secs(4);

/// CPU time of a process so far.
fn cpu(server: &Server) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.process_id())).unwrap();
    // The name of the process may have blanks.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // Linux shows hundredths of a second, whatever it counts in.
    Duration::from_millis(ticks * 10)
}

/// Waits until the server is idle.
async fn idle(server: &Server, name: &str, patience: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let (before, began) = (cpu(server), Instant::now());
        tokio::time::sleep(LOOK).await;
        let share = (cpu(server) - before).as_secs_f64() / began.elapsed().as_secs_f64();
        if share < IDLE_SHARE {
            return start.elapsed();
        }
        assert!(
            start.elapsed() < patience,
            "{name}: {share:.1} cores are in use after {:?}",
            start.elapsed()
        );
    }
}

/// Asks, and goes away; gives back how long the server was busy after that.
async fn went_away(server: &Server, client: &Client, name: &str, asked: &super::Asked) -> Duration {
    match tokio::time::timeout(ASKED_FOR, asked.ask(client)).await {
        Err(_) => idle(server, name, AT_LAST).await,
        Ok(answer) => panic!("{name} is endless, and was answered: {}", answer.text()),
    }
}

/// Long deadlines: what ends, ends because nobody waits any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_takes_the_work_along() {
    let server = Server::start_with(&CONFIG.replace("4000", "120000"));
    let client = server.client().tenant("hostile");
    fill(&client).await;
    idle(&server, "the start", Duration::from_secs(60)).await;
    let mut took = Vec::new();
    for case in ["sql.toml", "promql.toml"].iter().flat_map(|file| cases(file, &[])) {
        if !case.endless {
            continue;
        }
        let after = went_away(&server, &client, &case.name, &case.asked()).await;
        println!("{after:>7.1?} {}", case.name);
        took.push(after);
    }
    assert!(took.len() >= 10, "{} cases are endless", took.len());
    took.sort();
    assert!(took[took.len() / 2] <= SOON, "{took:?}");
    assert_eq!(server.panics(), Vec::<String>::new());
}
