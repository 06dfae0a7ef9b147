//! What a plugin of any world can do wrong.

use std::hint::black_box;

use isinglass_plugin::{Config, host};

/// A plugin's orders: `{"does": "trap", "in": "run", "rows_min": 0}`.
#[derive(Debug, Clone)]
pub struct Orders {
    /// What it does; empty = it behaves.
    pub does: String,
    /// Batches smaller than this are left alone.
    rows_min: usize,
}

impl Orders {
    /// Reads them, and obeys at once if they are for `configure`.
    pub fn read(mut config: Config) -> Result<Self, String> {
        let does = config.text("does")?.unwrap_or_default();
        let moment = config.text("in")?.unwrap_or_else(|| "run".to_owned());
        let rows_min = config.u32("rows_min", 0)? as usize;
        config.finish()?;
        match moment.as_str() {
            "run" => Ok(Self { does, rows_min }),
            "configure" => {
                misbehave(&does);
                Ok(Self { does: String::new(), rows_min })
            }
            other => Err(format!("in is {other}, neither \"run\" nor \"configure\"")),
        }
    }

    /// What to do with a batch: misbehaves here if every world can do it,
    /// otherwise says what is left to the world.
    pub fn with(&self, rows: usize) -> &str {
        if rows < self.rows_min {
            return "";
        }
        misbehave(&self.does);
        &self.does
    }
}

fn misbehave(does: &str) {
    match does {
        "trap" => panic!("told to"),
        "spin" => spin(),
        "grow" => grow(),
        "recurse" => {
            black_box(recurse(1));
        }
        "log_flood" => (0..10_000).for_each(|line| host::log(host::Level::Warn, &format!("line {line}"))),
        "log_huge" => host::log(host::Level::Info, &"x".repeat(16 << 20)),
        "count_flood" => (0..1_000).for_each(|name| host::count(&format!("name_{name}"), 1)),
        _ => {}
    }
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn grow() -> ! {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        kept.push(black_box(vec![1; 1 << 20]));
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == 0 { 0 } else { recurse(black_box(depth + 1)) + frame[(depth % 64) as usize] }
}
