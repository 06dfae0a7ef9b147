-- What does the log hold, and is it on disk?
SELECT segment, active, first_record, last_record, bytes, synced
FROM system.wal
ORDER BY first_record
