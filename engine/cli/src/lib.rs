//! Client commands and the demo.
//!
//! | module | is |
//! |---|---|
//! | [`demo`] | `isinglass demo`: a ride service that sends real telemetry |
//! | [`sql`] | `isinglass sql`: asks a server and shows the answer |
//! | [`verify`] | `isinglass verify`: writes known data and reads it back, for ever if wanted |

pub mod demo;
mod end;
pub mod sql;
pub mod verify;
