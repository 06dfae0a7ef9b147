//! WAL, head, Parquet files and the Delta log
