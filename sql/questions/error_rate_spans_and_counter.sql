-- Do the counters that the span-metrics plugin derives agree with the spans?
-- A counter begins at 0 again after a restart, with a new start time: each run
-- from one start time counts for itself.
WITH from_spans AS (
    SELECT service, count(*) AS calls, count(*) FILTER (WHERE status = 'error') AS errors
    FROM spans
    GROUP BY service
),
runs AS (
    SELECT service, status_code, max(value) AS calls
    FROM metrics.traces_spanmetrics_calls_total
    GROUP BY service, status_code, series_id, start_time
),
from_counter AS (
    SELECT service, sum(calls) AS calls, sum(calls) FILTER (WHERE status_code = 'STATUS_CODE_ERROR') AS errors
    FROM runs
    GROUP BY service
)
SELECT
    from_spans.service,
    from_spans.calls AS spans,
    coalesce(from_counter.calls, 0) AS counted,
    round(100.0 * from_spans.errors / from_spans.calls, 2) AS error_percent_of_spans,
    round(100.0 * coalesce(from_counter.errors, 0) / from_counter.calls, 2) AS error_percent_of_counter
FROM from_spans
LEFT JOIN from_counter ON from_counter.service = from_spans.service
ORDER BY from_spans.service
