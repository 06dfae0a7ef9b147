//! Wire bytes to record batches
