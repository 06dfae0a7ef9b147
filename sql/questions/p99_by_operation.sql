-- Which operations are slow?
SELECT service, operation, spans, p50_ms, p99_ms, max_ms
FROM slow_operations
WHERE kind = 'server'
ORDER BY p99_ms DESC, service, operation
LIMIT 10
