//! The `isinglass` binary: arguments, configuration, wiring, shutdown.

fn main() -> anyhow::Result<()> {
    Ok(())
}
