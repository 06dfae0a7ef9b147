-- What did the slowest requests write to the log?
WITH slow AS (
    SELECT trace_id, service, name, duration
    FROM spans
    WHERE parent_span_id IS NULL
    ORDER BY duration DESC
    LIMIT 5
)
SELECT
    round(slow.duration / 1e6, 1) AS ms,
    slow.service,
    slow.name AS operation,
    logs.service AS logged_by,
    logs.severity,
    logs.body,
    slow.trace_id
FROM slow
LEFT JOIN logs ON logs.trace_id = slow.trace_id
ORDER BY slow.duration DESC, slow.trace_id, logs.time
LIMIT 30
