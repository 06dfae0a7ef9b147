//! A store that nobody writes to comes to rest, and a clock that jumps deletes nothing early.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn merging_ends_and_does_not_begin_again_when_the_clock_goes_on() {
    let real = Real::new(small()).await;
    // Two days, every hour, a row that spans both, and one of long ago.
    for hour in 0..30_i64 {
        let time = NOW_MS + hour * 3_600_000;
        let append = sample_append(&real.store, &tenant("a"), time, &["x", "y"], 1.0).await;
        real.store.append(append).await.unwrap();
        if hour % 10 == 9 {
            let long_ago = NOW_MS - 90 * 86_400_000 + hour;
            let late = sample_append(&real.store, &tenant("a"), long_ago, &["x"], 2.0).await;
            real.store.append(late).await.unwrap();
        }
        real.store.flush().await.unwrap();
    }
    let rows = real.rows(Kind::Samples).await;
    real.live(4 * 24).await;
    let (merges, files) = (real.store.stats().merges, real.files(Kind::Samples).await);
    assert!(files.len() <= 10, "{}", files.len());
    real.live(40 * 24).await;
    assert_eq!(real.store.stats().merges, merges, "a quiet store is left alone");
    assert_eq!(real.files(Kind::Samples).await, files);
    assert_eq!(real.rows(Kind::Samples).await, rows);
    // A new start sees it so too.
    let real = real.kill().await;
    real.live(24).await;
    assert_eq!((real.store.stats().merges, real.rows(Kind::Samples).await), (0, rows));
}

/// The wall clock is set, for an hour or by a process that starts and dies with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_deletes_nothing_early() {
    for hours in [1, -1, 10 * 365 * 24, -10 * 365 * 24] {
        for restarts in [false, true] {
            let mut config = small();
            config.retention.all =
                KeepByKind { default: Some(Keep::For(3 * 86_400_000)), ..KeepByKind::default() };
            let real = Real::new(config).await;
            real.flushed(&["a", "b"]).await;
            real.live(30).await;
            let files = real.files(Kind::Logs).await;
            let right = real.clock.now_unix_nanos();
            real.clock.jump_to(right + hours * HOUR.as_nanos() as i64);
            let real = if restarts { real.kill().await } else { real };
            real.live(1).await;
            real.clock.jump_to(right + HOUR.as_nanos() as i64);
            let real = if restarts { real.kill().await } else { real };
            // 69 hours after the rows.
            real.live(37).await;
            check(real.rows(Kind::Logs).await, &["a", "b"]);
            assert_eq!(real.files(Kind::Logs).await, files, "{hours} h");
            real.live(12).await;
            check(real.rows(Kind::Logs).await, &[]);
        }
    }
}
