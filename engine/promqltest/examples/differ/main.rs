//! Random queries to a real Prometheus and to ours; prints where the answers differ.
//!
//! ```text
//! cargo run --release -p isinglass-promqltest --example differ -- --prometheus BIN --count 2000 --seed 1
//! ```
#![expect(clippy::print_stdout, reason = "it is a program that prints")]

mod prometheus;
mod sides;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use isinglass_promqltest::fuzz::differ::Difference;
use isinglass_promqltest::fuzz::known::{self, Known};
use isinglass_promqltest::fuzz::query::{Query, query};
use isinglass_promqltest::fuzz::series::{BASE_MS, series_set};
use isinglass_promqltest::fuzz::shrink::{shrink_query, shrink_series};
use isinglass_promqltest::http::Window;
use isinglass_promqltest::{Answer, LoadedSeries};
use tokio::runtime::Runtime;

use crate::sides::Sides;

/// Queries on one set of series.
const SET: u64 = 500;

/// What one answer is cut to when it is printed.
const SHOWN_CHARS: usize = 1500;

#[derive(Parser)]
struct Args {
    /// The Prometheus binary.
    #[arg(long)]
    prometheus: PathBuf,
    /// How many queries.
    #[arg(long, default_value_t = 2000)]
    count: u64,
    /// Seed of the first set; the next sets have the next seeds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this query of the seed.
    #[arg(long)]
    only: Option<u64>,
    /// Asks both for this expression at the first time of query `--only`, and prints the answers.
    #[arg(long, requires = "only")]
    ask: Option<String>,
    /// Address of a server of ours, instead of the engine in memory.
    #[arg(long)]
    ours: Option<String>,
    /// Leaves series as they are when a difference is made smaller: each try needs a new server.
    #[arg(long)]
    keep_series: bool,
    /// Ends after so many differences.
    #[arg(long, default_value_t = 20)]
    stop_after: usize,
}

/// What was found so far.
#[derive(Default)]
struct Found {
    queries: u64,
    errors: u64,
    differences: usize,
    known: BTreeMap<usize, u64>,
}

fn main() -> Result<(), String> {
    let args = Args::parse();
    let runtime = Runtime::new().map_err(|fault| fault.to_string())?;
    let known = known::table()?;
    let (mut found, started) = (Found::default(), Instant::now());
    for set in 0..args.count.div_ceil(SET) {
        run_set(&args, args.seed + set, &known, &mut found, &runtime)?;
        let rate = found.queries as f64 / started.elapsed().as_secs_f64();
        let Found { queries, errors, differences, .. } = &found;
        let known: u64 = found.known.values().sum();
        println!(
            "seed {}: {queries} queries ({errors} errors), {differences} differences, {known} known, {rate:.0}/s",
            args.seed + set
        );
        if found.differences >= args.stop_after || args.only.is_some() {
            break;
        }
    }
    for (at, count) in &found.known {
        println!("known, {count} times: {} ({})", known[*at].reason, known[*at].source);
    }
    if found.differences == 0 { Ok(()) } else { Err(format!("{} differences", found.differences)) }
}

fn run_set(
    args: &Args,
    seed: u64,
    known: &[Known],
    found: &mut Found,
    runtime: &Runtime,
) -> Result<(), String> {
    let series = series_set(seed, BASE_MS);
    let mut sides = runtime.block_on(sides(args, &series, seed))?;
    let numbers = match args.only {
        Some(number) => number..number + 1,
        None => 0..SET.min(args.count - found.queries),
    };
    for number in numbers {
        let query = query(seed, number, BASE_MS);
        if let Some(text) = &args.ask {
            ask(text, &query, &mut sides, runtime);
            continue;
        }
        let (difference, reference, _) = runtime.block_on(sides.difference(&query));
        found.queries += 1;
        found.errors += u64::from(reference.result.is_err());
        let Some(difference) = difference else { continue };
        if let Some(at) = known::find(known, &query, &difference) {
            *found.known.entry(at).or_default() += 1;
            continue;
        }
        found.differences += 1;
        println!(
            "\n== seed {seed}, query {number}: {}: {}\n{query}",
            difference.aspect.text(),
            difference.text
        );
        explain(args, &query, &difference, &series, &mut sides, runtime)?;
        if found.differences >= args.stop_after {
            break;
        }
    }
    Ok(())
}

fn ask(text: &str, query: &Query, sides: &mut Sides, runtime: &Runtime) {
    let end_ms = query.window.start_ms;
    let query =
        Query { window: Window { end_ms, step_ms: 0, ..query.window }, ..query.with_text(text.to_owned()) };
    let (reference, ours) = runtime.block_on(sides.ask(&query));
    println!("{query}\nreference: {reference:?}\nours: {ours:?}");
}

async fn sides(args: &Args, series: &[LoadedSeries], seed: u64) -> Result<Sides, String> {
    let tenant = format!("differ-{seed}-{}", std::process::id());
    let server = args.ours.as_deref().map(|base| (base, tenant.as_str()));
    Sides::with(series, &args.prometheus, server).await
}

/// Makes a difference smaller and prints it.
fn explain(
    args: &Args,
    query: &Query,
    first: &Difference,
    series: &[LoadedSeries],
    sides: &mut Sides,
    runtime: &Runtime,
) -> Result<(), String> {
    let smallest = shrink_query(query, |query| {
        let (difference, ..) = runtime.block_on(sides.difference(query));
        difference.is_some_and(|difference| difference.aspect == first.aspect)
    });
    let (difference, reference, ours) = runtime.block_on(sides.difference(&smallest));
    let text = difference.map(|difference| difference.text).unwrap_or_default();
    println!(
        "-- smaller: {smallest}\n   {text}\n   reference: {}\n   ours:      {}",
        shown(&reference),
        shown(&ours)
    );
    if args.keep_series || args.ours.is_some() {
        return Ok(());
    }
    let kept = shrink_series(series, |series| {
        let Ok(mut sides) = runtime.block_on(self::sides(args, series, 0)) else { return false };
        let (difference, ..) = runtime.block_on(sides.difference(&smallest));
        difference.is_some_and(|difference| difference.aspect == first.aspect)
    });
    for series in kept {
        let points = series.points.iter().map(|point| format!("{}@{}", Show(&point.sample), point.time_ms));
        println!("   {} {}", series.labels, cut(points.collect::<Vec<_>>().join(" ")));
    }
    Ok(())
}

struct Show<'a>(&'a isinglass_promql::Sample);

impl std::fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        isinglass_promqltest::backend::Found::from(self.0.clone()).fmt(f)
    }
}

fn shown(answer: &Answer) -> String {
    cut(format!("{answer:?}"))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text,
    }
}
