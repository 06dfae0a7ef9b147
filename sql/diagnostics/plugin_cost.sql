-- What does each plugin cost, and what did it refuse?
SELECT
    name, plugin, version, world, signals, calls, rows,
    round(1e9 * cpu_seconds / nullif(rows, 0)) AS nanoseconds_per_row,
    failures, slow_calls, rejected
FROM system.plugins
ORDER BY cpu_seconds DESC
