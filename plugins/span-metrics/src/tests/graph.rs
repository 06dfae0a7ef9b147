//! Who calls whom: which halves and edges spans become.

use super::*;

/// A span of a trace, as a row.
#[derive(Debug, Clone, Default)]
struct Row {
    service: &'static str,
    kind: &'static str,
    id: u8,
    parent: u8,
    failed: bool,
    seconds: i64,
    attributes: Vec<(&'static str, &'static str)>,
}

fn row(service: &'static str, kind: &'static str, id: u8, parent: u8) -> Row {
    Row { service, kind, id, parent, seconds: 1, ..Row::default() }
}

fn batch(plugin: &SpanMetrics, rows: &[Row]) -> Batch {
    let further = plugin.further_requests();
    let texts = |text: fn(&Row) -> &'static str| rows.iter().map(text).collect::<Vec<_>>();
    let mut table = Table::new(Spans::REQUESTS.iter().chain(&further), Shape::Spans, rows.len())
        .text("service", &texts(|row| row.service))
        .text("name", &texts(|row| row.service))
        .text("kind", &texts(|row| row.kind))
        .text("status", &texts(|row| if row.failed { "error" } else { "unset" }))
        .integers("duration", rows.iter().map(|row| row.seconds * 1_000_000_000).collect())
        .integers("size_bytes", vec![100; rows.len()])
        .integers("time", rows.iter().map(|row| i64::from(row.id) * 10_000_000_000).collect())
        .fixed("trace_id", &vec![[7; 16]; rows.len()])
        .fixed("span_id", &rows.iter().map(|row| [row.id; 8]).collect::<Vec<_>>());
    let mut parents = Table::new(&further, Shape::Spans, rows.len())
        .fixed("parent_span_id", &rows.iter().map(|row| [row.parent; 8]).collect::<Vec<_>>())
        .batch();
    if let Some(column) = parents.columns.first_mut() {
        let mut bits = vec![0; rows.len().div_ceil(8)];
        for (at, _) in rows.iter().enumerate().filter(|(_, row)| row.parent > 0) {
            bits[at / 8] |= 1 << (at % 8);
        }
        column.validity = Some(bits);
    }
    for request in &further {
        let Some((_, key)) = request.name.split_once(':') else { continue };
        let of = |row: &Row| row.attributes.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
        let values: Vec<Option<&str>> = rows.iter().map(of).collect();
        if values.iter().any(Option::is_some) {
            table = table.nullable_text(&request.name, &values);
        }
    }
    let mut batch = table.batch();
    batch.columns.extend(parents.columns);
    batch
}

/// What spans become, one line each: halves, and edges that need no other half.
fn check(config: &str, rows: &[Row], wanted: &[&str]) {
    let plugin = plugin(config);
    let batch = batch(&plugin, rows);
    let derived = plugin.derive(&batch);
    let halves = &derived.halves;
    let mut lines = Vec::new();
    for at in 0..halves.rows.len() {
        let set = halves.sets[at] as usize;
        let side = if halves.flags[at] & Halves::SECOND != 0 { "second" } else { "first" };
        let mut line = format!("{side} of {}: {}", halves.keys[at * 24 + 16], texts(&halves.labels, set));
        if halves.flags[at] & Halves::MARKED != 0 {
            line += ", failed";
        }
        if halves.flags[at] & Halves::ALONE != 0 {
            line += &format!(", alone {}", texts(&halves.alone, set));
        }
        line += &halves.times.get(at).map_or(String::new(), |time| format!(", at {}", time / 1_000_000_000));
        line += &halves.weights.get(at).map_or(String::new(), |weight| format!(", {weight} times"));
        lines.push(line);
    }
    let edges = derived.tables.iter().skip(1).filter(|table| !table.histograms.is_empty());
    for table in edges {
        for edge in 0..table.deltas.series() as usize {
            let [total, failed, ..] = table.deltas.increments() else { panic!("total and failed") };
            let [server, client] = &table.histograms[..] else { panic!("server and client") };
            let labels = texts(table.deltas.labels(), edge);
            let (total, failed) = (total.values[edge], failed.values[edge]);
            let (server, client) = (server.sums[edge], client.sums[edge]);
            lines.push(format!("edge {labels}: {total} calls, {failed} failed, {server} s, {client} s"));
        }
    }
    lines.sort();
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
}

fn texts(labels: &[isinglass_plugin::Label], series: usize) -> String {
    let label = |label: &isinglass_plugin::Label| {
        let LabelValues::Own(values) = &label.values else { panic!("own text") };
        let value = text(values, label.keys[series] as usize);
        (!value.is_empty()).then(|| format!("{}={value}", label.name))
    };
    labels.iter().filter_map(label).collect::<Vec<_>>().join(" ")
}

use isinglass_plugin::Halves;

#[test]
fn both_sides_of_a_call_have_one_key() {
    let failed = Row { failed: true, ..row("cart", "server", 2, 1) };
    check(
        "",
        &[row("shop", "client", 1, 9), failed, row("shop", "internal", 3, 1)],
        &["first of 1: client=shop", "second of 1: server=cart, failed"],
    );
}

#[test]
fn messages_have_two_sides_too() {
    let rows = [row("shop", "producer", 1, 9), row("mail", "consumer", 2, 1)];
    let wanted = [
        "first of 1: client=shop connection_type=messaging_system",
        "second of 1: server=mail connection_type=messaging_system",
    ];
    check("", &rows, &wanted);
    // From the end of one to the begin of the other.
    let timed = [format!("{}, at 11", wanted[0]), format!("{}, at 20", wanted[1])];
    check(r#"{"service_graph": {"messaging_latency": true}}"#, &rows, &[&timed[0], &timed[1]]);
}

#[test]
fn a_server_without_parent_was_called_by_a_user() {
    let rows = [row("shop", "server", 1, 0), Row { failed: true, ..row("shop", "server", 2, 0) }];
    let edge = "edge client=user server=shop connection_type=virtual_node";
    check("", &rows, &[&format!("{edge}: 2 calls, 1 failed, 2 s, 0 s")]);
    let labelled = format!("{edge} virtual_node=client: 2 calls, 1 failed, 2 s, 0 s");
    check(r#"{"service_graph": {"virtual_node_label": true}}"#, &rows, &[&labelled]);
}

#[test]
fn a_server_that_sends_no_spans_is_what_its_client_says() {
    let call = |attributes| Row { attributes, ..row("shop", "client", 1, 9) };
    let peer = "alone server=bank connection_type=virtual_node";
    check("", &[call(vec![("peer.service", "bank")])], &[&format!("first of 1: client=shop, {peer}")]);
    let other = r#"{"service_graph": {"peer_attributes": ["server.address"], "virtual_node_label": true}}"#;
    let line = format!("first of 1: client=shop, {peer} virtual_node=server");
    check(other, &[call(vec![("server.address", "bank")])], &[&line]);
}

#[test]
fn a_database_is_an_edge_of_its_own() {
    let names: [(Vec<(&str, &str)>, &str); 6] = [
        (vec![("db.system", "redis")], "redis"),
        (vec![("db.system", "pg"), ("db.name", "orders")], "orders"),
        (vec![("db.namespace", "n"), ("network.peer.address", "10.0.0.1")], "10.0.0.1"),
        (
            vec![("db.name", "n"), ("network.peer.address", "10.0.0.1"), ("network.peer.port", "5432")],
            "10.0.0.1:5432",
        ),
        (vec![("db.name", "n"), ("network.peer.address", "x"), ("server.address", "db.local")], "db.local"),
        (vec![("db.name", "n"), ("server.address", "db.local"), ("peer.service", "orders-db")], "orders-db"),
    ];
    for (attributes, name) in names {
        let call = Row { attributes, ..row("shop", "client", 1, 9) };
        let line =
            format!("edge client=shop server={name} connection_type=database: 1 calls, 0 failed, 1 s, 1 s");
        check("", &[call], &[&line]);
    }
    // A server that says which database it uses is no database.
    let server = Row { attributes: vec![("db.system", "pg")], ..row("cart", "server", 2, 1) };
    check("", &[server], &["second of 1: server=cart"]);
}

#[test]
fn dimensions_are_of_one_side_or_of_both() {
    let tier = |value| vec![("cloud.tier", value)];
    let rows = [
        Row { attributes: tier("front"), ..row("shop", "client", 1, 9) },
        Row { attributes: tier("back"), ..row("cart", "server", 2, 1) },
    ];
    let (plain, prefix) = (
        r#"{"service_graph": {"dimensions": ["cloud.tier"]}}"#,
        r#"{"service_graph": {"dimensions": ["cloud.tier"], "prefix_dimensions": true}}"#,
    );
    check(
        plain,
        &rows,
        &["first of 1: client=shop cloud_tier=front", "second of 1: server=cart cloud_tier=back"],
    );
    check(
        prefix,
        &rows,
        &[
            "first of 1: client=shop client_cloud_tier=front",
            "second of 1: server=cart server_cloud_tier=back",
        ],
    );
}

#[test]
fn what_spans_stand_for_is_the_weight_of_edges() {
    let rows = [
        Row { attributes: vec![("ratio", "0.25")], ..row("shop", "client", 1, 9) },
        Row { attributes: vec![("ratio", "0.5")], ..row("shop", "server", 2, 0) },
    ];
    check(
        r#"{"span_multiplier_attribute": "ratio"}"#,
        &rows,
        &[
            "edge client=user server=shop connection_type=virtual_node: 2 calls, 0 failed, 2 s, 0 s",
            "first of 1: client=shop, 4 times",
        ],
    );
}

#[test]
fn it_can_be_switched_off() {
    let config = r#"{"service_graph": {"enabled": false}}"#;
    assert_eq!(plugin(config).declare().metrics.len(), 3);
    assert_eq!(plugin(config).declare().pairing, None);
    assert!(plugin(config).further_requests().is_empty());
    check(config, &[row("shop", "client", 1, 9)], &[]);
}
