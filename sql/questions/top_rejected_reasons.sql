-- What was not stored, and why?
SELECT signal, reason, count(*) AS items, max(time) AS last_seen, first_value(message ORDER BY time DESC) AS example
FROM rejected
GROUP BY signal, reason
ORDER BY items DESC, signal, reason
LIMIT 10
