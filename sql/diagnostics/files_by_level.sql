-- How far are files merged, and how large are they?
SELECT kind, level, count(*) AS files, sum(rows) AS rows, sum(bytes) AS bytes, round(avg(bytes)) AS average_bytes
FROM system.files
GROUP BY kind, level
ORDER BY kind, level
