//! PromQL over a real store gives what it gives over samples in memory.

mod answers;
mod bombs;
mod cancel;
mod kept;
mod labels;
mod limits;
mod loaded;
mod reads;
mod same;
mod scripts;
mod table;
mod turns;
mod views;
