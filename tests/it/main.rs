//! The end-to-end tests: one binary, the real server, real sockets.
//!
//! | module | asks |
//! |---|---|
//! | [`architecture`] | does a crate know what it must not know? |
//! | [`senders`] | do the OpenTelemetry SDKs and every metric type arrive whole? |
//! | [`prometheus`] | does a Prometheus that scrapes itself agree with us, in both versions of remote write? |
//! | [`prometheus`] | does a Prometheus that scrapes itself agree with us? |
//! | [`dashboards`] | does every panel of the dashboards that ship show something? |
//! | [`promql_clients`] | promtool, and a Prometheus that reads from us |
//! | [`promql_grafana`] | Grafana's own client library, without a Grafana |
//! | [`promql_in_sql`] | PromQL in SQL, and SQL as metrics |
//! | [`promql_rules`] | recording and alerting rules: what is written and shown, reload, restart, tenants |
//! | [`promql_rules_alertmanager`] | does a real Alertmanager hear of alerts, also after it was down? |
//! | [`promql_rules_timelines`] | the same rules over the same samples: what a real Prometheus makes of them |
//! | [`promql_scripts`] | upstream's PromQL scripts: remote write in, HTTP out |
//! | [`promql_reference`] | the compliance queries and random ones: the answers of a real Prometheus |
//! | [`loki`] | Loki push, protobuf and JSON |
//! | [`derived`] | do the derived span metrics equal a computation over `spans`? |
//! | [`limits`] | every reason of `validate` at limit - 1, limit, limit + 1 |
//! | [`rate`] | 429 and RetryInfo, burst and refill |
//! | [`refused`] | what senders are told of what is over a limit, word for word, and the books |
//! | [`patterns`] | patterns of log lines, as counters and in SQL |
//! | [`plugin_cases`] | the cases of the plugins that ship |
//! | [`repeats`] | is a batch that is sent again stored once? |
//! | [`hostile`] | plugins that trap, loop, grow |
//! | [`crash`] | kill -9 while data comes in |
//! | [`restart`] | what is told while the log is read, and of what cannot be read |
//! | [`backup`] | a copy of a server under load, and its way back |
//! | [`golden`] | folders that earlier releases wrote |
//! | [`trickle`] | a thousand tenants, few commits |
//! | [`tenants`] | does one see the other's? |
//! | [`buckets`] | tables in S3, and objects that are damaged |
//! | [`cache`] | how often is a store asked for what was read before? |
//! | [`reads`] | is a store asked at most twice as often as pages demand? |
//! | [`tables`] | do the Delta reader and DuckDB agree with SQL? |
//! | [`bad_input`] | what is malformed is named and not stored |
//! | [`bombs`] | statements that would take the process down or reach beyond their tenant |
//! | [`sql`] | formats, the gate, the questions that ship |
//! | [`system`] | do the tables about the engine say what is? |
//! | [`verify`] | does `isinglass verify` find nothing where nothing is wrong, and a loss where there is one? |
//! | [`streams`] | HTTP/2 streams that break, connections that flood |
//! | [`memory`] | does a query that takes more than `--memory` end, and nothing else? |
//! | [`plugin_author`] | from nothing to a running plugin, in every language and for every world |
//! | [`plugin_registry`] | do plugins come from a real registry, and only from who is trusted? |
//! | [`plugin_compile`] | components that are bombs for who compiles them |
//! | [`plugin_reingest`] | what was refused by mistake is sent again and stored once |
//! | [`plugin_shadow`] | one is tried out, compared and promoted, and nobody notices |
//! | [`plugin_guide`] | does the guide for plugins' authors hold, word for word? |
//! | [`operate`] | ready, stop, configuration, one process per folder |
//!
//! Run them by `tests/run`, which provides Prometheus, Alertmanager, Python and Node.

mod harness;

mod architecture;
mod backup;
mod bad_input;
mod bombs;
mod buckets;
mod cache;
mod crash;
mod dashboards;
mod derived;
mod functions;
mod golden;
mod hostile;
mod limits;
mod loki;
mod memory;
mod operate;
mod patterns;
mod plugin_author;
mod plugin_cases;
mod plugin_check;
mod plugin_compile;
mod plugin_conditions;
mod plugin_guide;
mod plugin_install;
mod plugin_registry;
mod plugin_reingest;
mod plugin_replay;
mod plugin_shadow;
mod prometheus;
mod promql_clients;
mod promql_grafana;
mod promql_in_sql;
mod promql_reference;
mod promql_rules;
mod promql_rules_alertmanager;
mod promql_rules_timelines;
mod promql_scripts;
mod rate;
mod reads;
mod refused;
mod repeats;
mod restart;
mod senders;
mod service_graph;
mod span_metrics;
mod sql;
mod streams;
mod system;
mod tables;
mod tenants;
mod transform;
mod trickle;
mod verify;
