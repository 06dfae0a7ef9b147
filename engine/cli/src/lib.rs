//! Client commands and the demo.
//!
//! | module | is |
//! |---|---|
//! | [`backup`] | `isinglass backup` and `isinglass restore` |
//! | [`demo`] | `isinglass demo`: a ride service that sends real telemetry |
//! | [`doctor`] | `isinglass doctor`: looks at a folder |
//! | [`sql`] | `isinglass sql`: asks a server and shows the answer |

pub mod backup;
pub mod demo;
pub mod doctor;
pub mod sql;
