-- Which tables are the largest, in files and in memory?
SELECT kind, file_bytes, file_rows, files, head_bytes, head_rows, time_min, time_max
FROM system.tables
ORDER BY file_bytes + head_bytes DESC, kind
