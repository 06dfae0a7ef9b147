-- Requests, errors and durations of each service, from its server and consumer spans
SELECT
    service,
    count(*) AS requests,
    count(*) FILTER (WHERE status = 'error') AS errors,
    round(100.0 * count(*) FILTER (WHERE status = 'error') / count(*), 2) AS error_percent,
    round(approx_percentile_cont(0.50) WITHIN GROUP (ORDER BY duration) / 1e6, 3) AS p50_ms,
    round(approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration) / 1e6, 3) AS p95_ms,
    round(approx_percentile_cont(0.99) WITHIN GROUP (ORDER BY duration) / 1e6, 3) AS p99_ms,
    min(time) AS first_seen,
    max(time) AS last_seen
FROM spans
WHERE kind IN ('server', 'consumer')
GROUP BY service
