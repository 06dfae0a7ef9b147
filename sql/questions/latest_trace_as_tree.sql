-- What happened in the latest trace?
SELECT name, service, start_ms, duration_ms, self_ms, status
FROM trace_tree((
    SELECT trace_id
    FROM spans
    WHERE parent_span_id IS NULL
    ORDER BY time DESC
    LIMIT 1
))
