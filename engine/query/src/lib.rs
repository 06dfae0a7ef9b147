//! SQL over the tables
