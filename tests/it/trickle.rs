//! A thousand tenants that send little: few commits, everything visible.

use std::time::{Duration, Instant};

use isinglass_testkit::load;
use isinglass_testkit::remote_write::{self, Series};

use crate::harness::{Client, Server, now_millis, now_nanos};

const TENANTS: usize = 1_000;
const ROUNDS: usize = 3;
/// Requests on their way at the same time.
const AT_ONCE: usize = 32;

async fn send(client: Client, tenant: usize, round: usize) {
    let client = client.tenant(&format!("tenant-{tenant:04}"));
    if (tenant + round) % 2 == 0 {
        let series = Series::new(&[("__name__", "trickle")]).sample(now_millis(), round as f64);
        client.remote_write(&remote_write::request(&[series])).await.ok();
    } else {
        client
            .otlp("traces", load::traces((tenant * 10 + round) as u64, 2, now_nanos() - 1_000_000))
            .await
            .ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_tenants_make_few_commits() {
    let server = Server::start();
    let client = server.client();
    let start = Instant::now();
    for round in 0..ROUNDS {
        let mut tenants = 0..TENANTS;
        let mut sending = tokio::task::JoinSet::new();
        loop {
            while sending.len() < AT_ONCE {
                let Some(tenant) = tenants.next() else { break };
                sending.spawn(send(client.clone(), tenant, round));
            }
            if sending.join_next().await.transpose().unwrap().is_none() {
                break;
            }
        }
    }
    // Ticks write the derived samples of all of them meanwhile.
    let rest = Duration::from_secs(20).saturating_sub(start.elapsed());
    tokio::time::sleep(rest).await;
    let commits = client.metric("isinglass_delta_commits_total", &[]).await;
    let per_second = commits / start.elapsed().as_secs_f64();
    println!("{commits} commits in {:?}: {per_second:.2} a second", start.elapsed());
    assert!(per_second < 5.0, "{commits} commits in {:?}", start.elapsed());
    for tenant in [0, 1, 500, 999] {
        let client = client.tenant(&format!("tenant-{tenant:04}"));
        let (samples, spans) = if tenant % 2 == 0 { (2, 2) } else { (1, 4) };
        assert_eq!(client.count("metrics.trickle").await, samples, "tenant {tenant}");
        assert_eq!(client.count("spans").await, spans, "tenant {tenant}");
    }
}
