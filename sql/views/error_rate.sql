-- Spans and failed spans of each service and minute
SELECT
    date_trunc('minute', time) AS minute,
    service,
    count(*) AS spans,
    count(*) FILTER (WHERE status = 'error') AS errors,
    round(100.0 * count(*) FILTER (WHERE status = 'error') / count(*), 2) AS error_percent
FROM spans
GROUP BY 1, 2
