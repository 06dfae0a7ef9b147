//! What the demo prints: one screen at the start, one at the end.

use std::io::Write;

use comfy_table::modifiers::UTF8_ROUND_CORNERS;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::server::{Server, counter, flow};
use super::{DemoOptions, Question};

/// Questions shown at the start; more would not fit on one screen.
const QUESTIONS_SHOWN: usize = 3;
/// Questions answered at the end.
const QUESTIONS_ANSWERED: usize = 3;
/// Rows shown per answer.
const ROWS_SHOWN: usize = 10;

pub(super) fn start(out: &mut impl Write, options: &DemoOptions) -> anyhow::Result<()> {
    let DemoOptions { grpc, http, sql, .. } = options;
    writeln!(out, "isinglass {} · demo\n", env!("CARGO_PKG_VERSION"))?;
    writeln!(out, "  OTLP gRPC                {grpc}")?;
    writeln!(out, "  OTLP HTTP                {http}v1/{{traces,logs,metrics}}")?;
    writeln!(out, "  Prometheus remote write  {sql}api/v1/write")?;
    writeln!(out, "  Loki push                {sql}loki/api/v1/push")?;
    writeln!(out, "  SQL                      {sql}api/sql")?;
    writeln!(out, "  own metrics              {sql}metrics\n")?;
    writeln!(
        out,
        "A ride service (frontend, customer, driver, route, redis, mysql) sends traces, logs and metrics."
    )?;
    match options.for_ {
        Some(time) => writeln!(out, "It runs for {} s.\n", time.as_secs_f64())?,
        None => writeln!(out, "It runs until ctrl-c.\n")?,
    }
    writeln!(out, "Ask, in another terminal:\n")?;
    for question in options.questions.iter().take(QUESTIONS_SHOWN) {
        ask(out, question, sql.as_str())?;
    }
    out.flush()?;
    Ok(())
}

/// A line to paste, with the very binary that runs: it need not be on the path.
fn ask(out: &mut impl Write, question: &Question, server: &str) -> std::io::Result<()> {
    let binary = std::env::args().next().unwrap_or_else(|| "isinglass".to_owned());
    let sql = question.sql.replace('\'', r"'\''");
    writeln!(out, "  # {}", question.title)?;
    writeln!(out, "  {binary} sql --server {server} -c '{}'\n", sql.trim())
}

/// What became of everything, and a few answers.
pub(super) async fn end(out: &mut impl Write, server: &Server, questions: &[Question]) -> anyhow::Result<()> {
    let metrics = server.metrics().await?;
    writeln!(out, "\nWhat became of it\n")?;
    writeln!(out, "{}", flows(&metrics))?;
    for question in questions.iter().take(QUESTIONS_ANSWERED) {
        let rows = server.sql(&question.sql, ROWS_SHOWN).await?;
        writeln!(out, "\n{}\n{}", question.title, rows.trim_end())?;
    }
    out.flush()?;
    Ok(())
}

fn flows(metrics: &str) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).apply_modifier(UTF8_ROUND_CORNERS);
    table.set_header(["signal", "received", "stored", "rejected", "derived samples"]);
    for signal in ["traces", "logs", "metrics"] {
        let flow = flow(metrics, signal);
        let derived = match signal {
            "traces" => counter(metrics, "isinglass_derived_samples_total", "").to_string(),
            _ => "-".to_owned(),
        };
        table.add_row([
            signal.to_owned(),
            flow.received.to_string(),
            flow.stored.to_string(),
            flow.rejected.to_string(),
            derived,
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
