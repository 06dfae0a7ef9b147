//! The `isinglass` binary: arguments, configuration, wiring, shutdown.
//!
//! | file | is |
//! |---|---|
//! | `allocator.rs` | what becomes of freed memory |
//! | `args.rs` | commands and flags |
//! | `config.rs` | defaults, file, environment and flags in one configuration |
//! | `memory.rs` | `--memory`, divided among all that takes some |
//! | `log.rs` | structured logs on standard error |
//! | `run.rs` | `serve` and `demo`: start, signals, graceful stop |

mod allocator;
mod args;
mod config;
mod log;
mod memory;
mod run;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use isinglass_chain::compile::compile_as_told;

use args::{Args, Command, ServeArgs};
use config::Config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads for blocking work: files, and decoding with its plugins. More than
/// these would only compete for the same cores and disk.
const BLOCKING_THREADS_MAX: usize = 64;
/// Planners recurse; the memory is reserved, not used.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    // Huge pages round every arena up to 2 MiB: measured 130 MiB of resident
    // memory for no gain in speed. Where the kernel refuses, memory is larger.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let args = Args::parse();
    match execute(args) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(args: Args) -> anyhow::Result<ExitCode> {
    match args.command.unwrap_or(Command::Serve(args.serve)) {
        Command::Sql(args) => runtime()?.block_on(isinglass_cli::sql::run(args)),
        Command::Verify(args) => Ok(runtime()?.block_on(isinglass_cli::verify::run(args))),
        Command::Doctor(args) => {
            let config = match Config::of_folder(args.data_dir.as_deref(), args.config.as_deref()) {
                Ok(config) => config,
                Err(error) => {
                    writeln!(std::io::stderr(), "error: cannot look: {error:#}")?;
                    return Ok(ExitCode::from(2));
                }
            };
            runtime()?.block_on(isinglass_cli::doctor::run(args, config.store))
        }
        Command::Backup(args) => {
            let config = Config::of_folder(args.data_dir.as_deref(), args.config.as_deref())?;
            runtime()?.block_on(isinglass_cli::backup::run(args, config.store))
        }
        Command::Restore(args) => {
            let mut config = Config::of_folder(Some(&args.data_dir), args.config.as_deref())?;
            config.store.url = args.url.clone().unwrap_or_default();
            runtime()?.block_on(isinglass_cli::backup::run_restore(args, config.store))
        }
        Command::Plugin(args) => runtime()?.block_on(isinglass_cli::plugin::run(args)),
        Command::PluginCompile { job } => Ok(compile_as_told(&job)),
        Command::Config(args) => {
            let text = toml::to_string(&Config::load(&args)?)?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Serve(args) => {
            let config = started(&args)?;
            runtime()?.block_on(run::serve(config, args))
        }
        Command::Demo(args) => {
            let config = started(&args.serve)?;
            runtime()?.block_on(run::demo(config, args))
        }
    }
}

/// The configuration, and with it what is set once for the process.
fn started(args: &ServeArgs) -> anyhow::Result<Config> {
    let config = Config::load(args)?;
    allocator::tune(config.memory.0);
    log::start(&config.log)?;
    allocator::log();
    Ok(config)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("isinglass")
        .thread_stack_size(STACK_BYTES)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
}
