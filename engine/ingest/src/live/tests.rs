//! Streams, traces and order, on batches as decode makes them.

use isinglass_model::clock::ManualClock;

use super::*;

#[test]
fn a_tenant_whose_intake_is_off_is_refused_until_then() {
    let config: IngestConfig = serde_json::from_value(serde_json::json!({
        "tenants": { "acme": { "blocked_until_ms": 1_000, "blocked_status": 429 } }
    }))
    .unwrap();
    let clock = Arc::new(ManualClock::at(0));
    let live = Live::new(&config, Arc::<ManualClock>::clone(&clock));
    let (acme, other) = (Tenant::new("acme").unwrap(), Tenant::new("other").unwrap());
    live.check_open(&other).unwrap();
    let error = live.check_open(&acme).unwrap_err();
    assert_eq!(error.http_status(), Some(429));
    assert_eq!(
        error.to_string(),
        "intake of tenant \"acme\" is switched off until 1000 ms since 1970 (blocked_until_ms); \
         nothing of this request was stored"
    );
    clock.advance(std::time::Duration::from_secs(1));
    live.check_open(&acme).unwrap();
}
