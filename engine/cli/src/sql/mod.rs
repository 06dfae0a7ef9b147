//! `isinglass sql`: asks a server and shows the answer.
//!
//! | file | holds |
//! |---|---|
//! | `client.rs` | the request, and what goes wrong with it |
//! | `table.rs` | rows as a box or as Markdown |

mod client;
mod table;

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use reqwest::Url;

use client::{Client, Refusal};

/// What to ask, whom, and how to show the answer.
#[derive(Debug, Clone, Args)]
pub struct SqlArgs {
    /// The query; `-` reads it from standard input
    #[arg(short = 'c', long = "command", value_name = "QUERY", conflicts_with = "file")]
    pub command: Option<String>,
    /// Read the query from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How rows are shown
    #[arg(long, value_enum, default_value_t = Format::Box)]
    pub format: Format,
    /// Rows that `box` and `markdown` show; `csv` and `json` are always complete
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub rows_max: usize,
    /// The server's main address
    #[arg(long, value_name = "URL", env = "ISINGLASS_URL", default_value = "http://127.0.0.1:4319")]
    pub server: Url,
    /// The tenant whose tables are asked
    #[arg(long, value_name = "NAME", env = "ISINGLASS_TENANT")]
    pub tenant: Option<String>,
}

/// How rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table drawn with lines
    Box,
    /// An array of objects
    Json,
    /// Comma-separated values with a header
    Csv,
    /// A Markdown table
    Markdown,
}

/// Runs the query and writes the answer to standard output. A refused query is
/// shown on standard error, with a caret under the place, and gives exit code 1.
pub async fn run(args: SqlArgs) -> anyhow::Result<ExitCode> {
    let query = query_text(&args)?;
    let client = Client::new(args.server.clone(), args.tenant.clone())?;
    match answer(&client, &query, &args, &mut io::stdout().lock()).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast_ref::<Refusal>() {
            Some(refusal) => {
                writeln!(io::stderr(), "{}", refusal.explain(&query))?;
                Ok(ExitCode::FAILURE)
            }
            // `isinglass sql … | head` has seen enough.
            None if broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            None => Err(error),
        },
    }
}

async fn answer(client: &Client, query: &str, args: &SqlArgs, out: &mut impl Write) -> anyhow::Result<()> {
    match args.format {
        Format::Json => client.copy(query, "json", out).await?,
        Format::Csv => client.copy(query, "csv", out).await?,
        Format::Box | Format::Markdown => {
            let rows = client.rows(query, args.rows_max).await?;
            let text = table::render(&rows, args.format == Format::Markdown, io::stdout().is_terminal())?;
            out.write_all(text.as_bytes())?;
            if rows.more {
                let shown = args.rows_max;
                writeln!(
                    io::stderr(),
                    "only the first {shown} rows are shown; --rows-max N shows more, --format csv all"
                )?;
            }
        }
    }
    Ok(out.flush()?)
}

/// The first rows of an answer as a box, for commands that show answers next to
/// other things.
pub(crate) async fn drawn(server: &Url, query: &str, rows_max: usize) -> anyhow::Result<String> {
    let rows = Client::new(server.clone(), None)?.rows(query, rows_max).await?;
    Ok(table::render(&rows, false, io::stdout().is_terminal())?)
}

fn query_text(args: &SqlArgs) -> anyhow::Result<String> {
    if let Some(file) = &args.file {
        return std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()));
    }
    match args.command.as_deref() {
        Some("-") => from_stdin(),
        Some(query) => Ok(query.to_owned()),
        None if !io::stdin().is_terminal() => from_stdin(),
        None => bail!("no query: give one with -c QUERY, -f FILE, or on standard input"),
    }
}

fn from_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("cannot read the query from standard input")?;
    Ok(text)
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
