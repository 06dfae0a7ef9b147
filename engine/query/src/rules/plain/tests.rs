use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::displayable;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::*;
use crate::rules;

const ROWS: &str = "CREATE TABLE t (a BIGINT, b BIGINT, c VARCHAR, d DOUBLE) AS VALUES (1, 2, 'x', 0.5)";
const VIEW: &str = "CREATE VIEW w AS SELECT t.a, u.b FROM t JOIN t u ON t.a = u.a";

fn state(plain: bool) -> SessionState {
    let all = rules::physical();
    let short = rules::physical_of_plain(&all);
    SessionStateBuilder::new()
        .with_config(SessionConfig::new().with_target_partitions(2))
        .with_default_features()
        .with_analyzer_rules(rules::analyzer())
        .with_optimizer_rules(rules::logical())
        .with_physical_optimizer_rules(if plain { short.to_vec() } else { all })
        .build()
}

/// What a statement becomes, and what it needs for that.
async fn planned(state: &SessionState, sql: &str, fewer: bool) -> (Needs, String) {
    let plan = state.create_logical_plan(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let needs = needs(&plan).unwrap();
    let mut state = state.clone();
    let plan = optimized(&mut state, &plan, if fewer { needs } else { Needs::All }).unwrap();
    let physical = state.query_planner().create_physical_plan(&plan, &state).await.unwrap();
    (needs, format!("{}\n{}", plan.display_indent(), displayable(physical.as_ref()).indent(true)))
}

async fn contexts() -> [SessionState; 2] {
    let all = SessionContext::new_with_state(state(false));
    for statement in [ROWS, VIEW] {
        all.sql(statement).await.unwrap().collect().await.unwrap();
    }
    let table = all.table_provider("t").await.unwrap();
    let fewer = SessionContext::new_with_state(state(true));
    fewer.register_table("t", table).unwrap();
    [all.state(), fewer.state()]
}

/// All ways to put these together have the plan that they have with all rules.
#[tokio::test]
async fn a_plain_plan_is_what_all_rules_make_of_it() {
    let [all, fewer] = contexts().await;
    let selects = [
        "SELECT *",
        "SELECT a, a + b AS s, c",
        "SELECT c, count(*), sum(a), avg(d)",
        "SELECT c, count(DISTINCT a)",
        "SELECT c, max(CASE WHEN a > 1 THEN b END) AS m",
        "SELECT count(*), max(b)",
    ];
    let froms = [
        "FROM t",
        "FROM (SELECT a, b * 2 AS b, c, d FROM t WHERE a > 0) u",
        "FROM (SELECT c, a, sum(b) AS b, max(d) AS d FROM t GROUP BY c, a) v",
    ];
    let filters = [
        "",
        "WHERE a = 1",
        "WHERE a = 1 AND (b > 2 OR c LIKE 'x%')",
        "WHERE a = 1 AND 1 = 2",
        "WHERE c IN ('x', 'y') AND a IS NOT NULL",
        "WHERE NOT (a + 1 > 2 OR CAST(b AS VARCHAR) = '7') AND coalesce(c, 'x') = upper('y')",
    ];
    let ends = ["", "LIMIT 3", "LIMIT 0", "HAVING count(*) > 1", "ORDER BY 1"];
    let (mut plans, mut once) = (0, 0);
    for select in selects {
        let groups = select.contains('(') && !select.contains("SELECT count");
        let by = if groups { "GROUP BY c" } else { "" };
        for from in froms {
            for rest in filters.iter().flat_map(|filter| ends.map(|end| format!("{filter} {by} {end}"))) {
                if rest.contains("HAVING") && !select.contains('(') {
                    continue;
                }
                let sql = format!("{select} {from} {rest}");
                let (needs, wanted) = planned(&all, &sql, false).await;
                assert_ne!(needs, Needs::All, "{sql}");
                assert_eq!(planned(&fewer, &sql, true).await.1, wanted, "{sql}");
                plans += 1;
                once += usize::from(needs == Needs::Once);
            }
        }
    }
    assert!(plans > 480 && once > 200, "{plans}, of which {once} are looked at once");
}

#[tokio::test]
async fn what_those_rules_are_about_is_not_plain() {
    let [all, _] = contexts().await;
    for sql in [
        "SELECT * FROM t JOIN t u ON t.a = u.a",
        "SELECT * FROM t, t u",
        "SELECT a, sum(b) FROM w GROUP BY a",
        "SELECT a FROM t UNION ALL SELECT b FROM t",
        "SELECT DISTINCT c FROM t",
        "SELECT a FROM t WHERE a IN (SELECT b FROM t)",
        "SELECT a, (SELECT max(b) FROM t) FROM t",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.b = t.a)",
        "SELECT a, row_number() OVER (ORDER BY b) FROM t",
        "SELECT * FROM t ORDER BY a LIMIT 3",
        "SELECT * FROM (SELECT * FROM t LIMIT 5) ORDER BY a",
        "SELECT unnest([a, b]) FROM t",
    ] {
        assert_eq!(planned(&all, sql, false).await.0, Needs::All, "{sql}");
    }
}

/// Whether DataFusion still has rules of these names.
#[test]
fn the_rules_are_there() {
    let logical = rules::logical();
    for name in LOGICAL {
        assert!(logical.iter().any(|rule| rule.name() == name), "{name}");
    }
    let all = rules::physical();
    assert_eq!(rules::physical_of_plain(&all).len(), all.len() - PHYSICAL.len());
}
