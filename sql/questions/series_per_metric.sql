-- Which metrics are there, and how many series has each?
SELECT metric, max("type") AS type, count(DISTINCT series_id) AS series, max(help) AS help
FROM series
GROUP BY metric
ORDER BY series DESC, metric
LIMIT 20
