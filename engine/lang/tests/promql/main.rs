//! The PromQL parser as a whole: texts in, trees and errors out.

mod properties;
mod scripts;
mod spans;
mod support;
mod table;
