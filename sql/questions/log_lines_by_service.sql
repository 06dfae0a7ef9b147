-- Who logs how much?
SELECT service, severity, sum(lines) AS lines, sum(bytes) AS bytes
FROM log_volume
GROUP BY service, severity
ORDER BY lines DESC, service, severity
LIMIT 20
