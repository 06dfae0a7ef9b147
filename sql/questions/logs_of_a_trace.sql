-- What was logged in the latest trace with an error?
SELECT time, service, severity, body
FROM logs
WHERE trace_id = (
    SELECT trace_id
    FROM spans
    WHERE status = 'error'
    ORDER BY time DESC
    LIMIT 1
)
ORDER BY time
LIMIT 50
