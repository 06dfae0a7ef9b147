-- Lines and bytes of logs by minute, service and severity
SELECT
    date_trunc('minute', time) AS minute,
    service,
    severity,
    count(*) AS lines,
    sum(octet_length(body)) AS bytes
FROM logs
GROUP BY 1, 2, 3
