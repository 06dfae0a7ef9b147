-- How long each operation of each service takes
SELECT
    service,
    name AS operation,
    kind,
    count(*) AS spans,
    round(approx_percentile_cont(0.50) WITHIN GROUP (ORDER BY duration) / 1e6, 3) AS p50_ms,
    round(approx_percentile_cont(0.99) WITHIN GROUP (ORDER BY duration) / 1e6, 3) AS p99_ms,
    round(max(duration) / 1e6, 3) AS max_ms
FROM spans
GROUP BY service, name, kind
