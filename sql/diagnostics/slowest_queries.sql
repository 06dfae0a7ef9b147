-- Which of the last queries took the longest, and what did they read?
SELECT started, state, duration_ms, wait_ms, plan_ms, rows, read_files, read_bytes, memory_peak_bytes, error, text
FROM system.queries
ORDER BY duration_ms DESC
LIMIT 20
