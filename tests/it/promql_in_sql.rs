//! PromQL in SQL, and SQL as metrics of PromQL, as a configuration file says.

use isinglass_testkit::remote_write;
use serde_json::json;

use crate::harness::{Server, now_millis};
use crate::operate::refused;

const CONFIG: &str = r#"
[query.promql.views]
requests_by_job = """
  SELECT time, sum(value) AS value, job FROM metrics.requests_total
  WHERE time > $start AND time <= $end GROUP BY time, job"""

[query.promql.views.of_acme]
sql = "SELECT time, value, job FROM metrics.requests_total"
tenants = ["acme"]

[query.tenants.acme]
samples_max = 10
"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_asks_the_other() {
    let server = Server::start_with(CONFIG);
    let client = server.client();
    let end_ms = now_millis() / 60_000 * 60_000;
    let series: Vec<_> = [("a", "1"), ("a", "2"), ("b", "1")]
        .into_iter()
        .map(|(job, instance)| {
            let labels = [("__name__", "requests_total"), ("instance", instance), ("job", job)];
            (0..=40).fold(remote_write::Series::new(&labels), |series, step| {
                series.sample(end_ms - (40 - step) * 15_000, step as f64 * 30.0)
            })
        })
        .collect();
    client.remote_write(&remote_write::request(&series)).await.ok();
    let (start, end) = (end_ms / 1_000 - 300, end_ms / 1_000);
    // A view, in PromQL, in SQL.
    let expr = "sum by (job) (rate(requests_by_job[5m]))";
    let sql = format!(
        "select job, count(*) as steps, round(max(value), 6) as rate \
         from promql('{expr}', {start}, {end}, interval '1 minute') group by job order by job"
    );
    let rows = client.sql(&sql).await;
    assert_eq!(
        json!(rows),
        json!([
            { "job": "a", "steps": 6, "rate": 4.0 },
            { "job": "b", "steps": 6, "rate": 2.0 },
        ])
    );
    // Only acme has the other one.
    let rows = client.sql(&format!("select * from promql('of_acme', {end})")).await;
    assert_eq!(json!(rows), json!([]));
    let sql = "select count(*) as n from system.slow_queries where duration_ms < 1000";
    assert_eq!(json!(client.sql(sql).await), json!([{ "n": 0 }]));
}

#[test]
fn a_bad_view_refuses_the_start() {
    let errors = refused("[query.promql.views]\nbad = \"select time from logs\"\n", &[]);
    assert!(
        errors.contains("query.promql.views.bad: a view of PromQL has the columns time and value"),
        "{errors}"
    );
    let errors = refused("[query.promql.views.bad]\nsqll = \"select\"\n", &[]);
    assert!(errors.contains("expected a statement of SQL, or a table with `sql` and `tenants`"), "{errors}");
}
