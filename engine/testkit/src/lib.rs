//! Generators, fake clock, faulty disk
