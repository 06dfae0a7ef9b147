//! A tenant sees its own tables and nothing else.

use isinglass_model::{ErrorKind, Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

#[tokio::test]
async fn tenants_are_apart() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenants = ["acme", "umbrella"].map(|name| Tenant::new(name).unwrap());
    for tenant in &tenants {
        let line = format!(
            r#"{{"time":1700000000000000000,"service":"{tenant}","stream":"{{}}","body":"of {tenant}"}}"#
        );
        fixture.append_rows(tenant, Kind::Logs, &[line]).await;
        fixture.append_samples(tenant, [format!("gauge only_{tenant}{{a=\"b\"}} 1 1700000000000")]).await;
    }
    for flushed in [false, true] {
        if flushed {
            fixture.store.flush().await.unwrap();
        }
        for (tenant, other) in [(&tenants[0], &tenants[1]), (&tenants[1], &tenants[0])] {
            let fixture = &fixture;
            let text = |sql: String| async move { fixture_text(fixture, tenant, &sql).await };
            assert_eq!(text("SELECT body FROM logs".into()).await.unwrap(), format!("of {tenant}"));
            assert_eq!(text(format!("SELECT value FROM metrics.only_{tenant}")).await.unwrap(), "1.0");
            let names = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'metrics'";
            assert_eq!(text(names.into()).await.unwrap(), format!("only_{tenant}"));
            for sql in [
                format!("SELECT * FROM metrics.only_{other}"),
                format!("SELECT * FROM {other}.public.logs"),
                format!("SELECT * FROM \"../{other}/logs\""),
                format!("SELECT * FROM \"{other}\".logs"),
            ] {
                let error = text(sql.clone()).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Malformed, "{sql}: {error}");
            }
        }
    }
    let nobody = Tenant::new("nobody").unwrap();
    assert_eq!(fixture_text(&fixture, &nobody, "SELECT count(*) FROM logs").await.unwrap(), "0");
}

/// Every character that a tenant may have, in memory and in files.
#[tokio::test]
async fn odd_names_are_names() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::new("a!-_.*'()1").unwrap();
    let line = r#"{"time":1700000000000000000,"service":"s","stream":"{}","body":"here"}"#.to_owned();
    fixture.append_rows(&tenant, Kind::Logs, &[line]).await;
    for _ in 0..2 {
        assert_eq!(fixture_text(&fixture, &tenant, "SELECT body FROM logs").await.unwrap(), "here");
        fixture.store.flush().await.unwrap();
    }
}

async fn fixture_text(
    fixture: &Fixture,
    tenant: &Tenant,
    sql: &str,
) -> Result<String, isinglass_query::QueryError> {
    Ok(print(&fixture.rows(tenant, sql).await?))
}
