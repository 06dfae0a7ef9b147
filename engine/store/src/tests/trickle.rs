//! Many tenants with little data each.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_thousand_trickling_tenants_stay_under_the_caps_with_few_commits() {
    const TENANTS: usize = 1_000;
    let config = StoreConfig {
        // A tenth of the default, so that an hour takes seconds.
        head_bytes: 6 << 20,
        wal_bytes_max: 24 << 20,
        wal_segment_bytes: 1 << 20,
        append_wait_ms: 10_000,
        ..StoreConfig::default()
    };
    let world = World::new(config.clone()).await;
    let tenants: Vec<Tenant> = (0..TENANTS).map(|n| tenant(&format!("t{n}"))).collect();
    let minutes = 70;
    for minute in 0..minutes {
        for (n, tenant) in tenants.iter().enumerate() {
            let time = NOW_MS + i64::from(minute) * 60_000;
            let instances = ["a", "b", "c", "d"];
            let append = sample_append(&world.store, tenant, time, &instances, n as f64).await;
            world.store.append(append).await.unwrap();
        }
        world.clock.advance(Duration::from_secs(60));
        world.store.core.maintain().await.unwrap();
        let stats = world.store.stats();
        let head: u64 = stats.head_bytes.values().sum();
        assert!(head <= config.head_bytes, "{head} bytes in the head");
        assert!(stats.wal_bytes <= 2 * config.wal_bytes_max, "{} bytes of wal", stats.wal_bytes);
    }
    let per_second = world.tables.commits() as f64 / (f64::from(minutes) * 60.0);
    assert!(per_second < 5.0, "{per_second} commits a second");
    assert!(world.tables.commits() > TENANTS as u64, "at an hour every table is flushed");
    for tenant in tenants.iter().step_by(100) {
        assert_eq!(world.rows(tenant).await[&Kind::Samples].len(), 4 * minutes as usize);
    }
}
