-- Which labels have the most values, and how many of all series carry them?
SELECT metric, label, distinct_values, series, round(100 * share, 1) AS percent_of_series
FROM system.cardinality
ORDER BY distinct_values DESC, series DESC, metric, label
LIMIT 20
