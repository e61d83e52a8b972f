-- Times in UTC, for this transaction.
SELECT set_config('timezone', 'UTC', true)
