//! `isinglass verify`: the test of a running server that never ends.
//!
//! ```text
//!          every interval                            again and again
//! plan ──▶ write: remote write, Loki, OTLP ──▶ ledger ──▶ read: SQL ──▶ compare ──▶ report
//!          the same batch key until answered   acknowledged?  last minute … day
//! ```
//!
//! What was acknowledged must be there, once, and as it was sent. What was not may be there
//! or not. Nothing else may be there under the name of the run.
//!
//! | file | holds |
//! |---|---|
//! | `args.rs` | arguments |
//! | `plan.rs` | the data, made from name and time alone |
//! | `write.rs`, `read.rs` | the ways in and out |
//! | `ledger.rs` | what the server said of each step |
//! | `verifier.rs`, `checks.rs` | what is done when: writing, reading back |
//! | `compare.rs` | what is missing, twice, wrong, unexpected |
//! | `report.rs`, `listen.rs` | lines, summary, counters |

mod args;
mod checks;
mod compare;
mod ledger;
mod listen;
mod plan;
mod read;
mod report;
mod verifier;
mod write;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use isinglass_model::Clock;
use isinglass_model::clock::SystemClock;
use serde_json::json;

pub use args::VerifyArgs;

use crate::end::end;
use verifier::Verifier;

/// Verifies. Exit code 0: all that was acknowledged is there; 1: something is missing, there
/// twice, wrong or unexpected; 2: it could not be found out.
pub async fn run(args: VerifyArgs) -> ExitCode {
    match verify(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let verifier = Arc::new(Verifier::new(args, clock)?);
    if let Some(address) = args.listen {
        let address = listen::serve(address, Arc::clone(&verifier.books)).await?;
        let value = json!({ "listening": address.to_string() });
        verifier.say(&value, || format!("counters at http://{address}/metrics"));
    }
    verifier.say_start(args)?;
    let own_from = verifier.own_from;
    match (args.until, args.once) {
        (Some(_), _) => {}
        (None, true) => Arc::clone(&verifier).write(own_from).await,
        (None, false) => verifier.run_until(end(args.for_)?).await,
    }
    let last = verifier.last_check(args.retry_for).await?;
    verifier.sum_up(&last)
}
