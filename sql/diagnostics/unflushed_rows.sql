-- How many rows are in the log and in memory only, and since which record?
SELECT kind, head_rows, head_bytes, flushed_record, watermark_record
FROM system.tables
ORDER BY head_bytes DESC, kind
