//! Client commands and the demo.
//!
//! | module | is |
//! |---|---|
//! | [`backup`] | `isinglass backup` and `isinglass restore` |
//! | [`demo`] | `isinglass demo`: a ride service that sends real telemetry |
//! | [`doctor`] | `isinglass doctor`: looks at a folder |
//! | [`plugin`] | `isinglass plugin`: what authors and operators of plugins need |
//! | [`sql`] | `isinglass sql`: asks a server and shows the answer |
//! | [`verify`] | `isinglass verify`: writes known data and reads it back, for ever if wanted |

pub mod backup;
pub mod demo;
pub mod doctor;
mod end;
pub mod plugin;
pub mod sql;
pub mod verify;
