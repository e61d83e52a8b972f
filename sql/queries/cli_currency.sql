-- The digits behind the point of a currency, and all that there are.
-- $1 code
SELECT (SELECT scale FROM currencies WHERE code = $1::text) AS scale, string_agg(code, ', ' ORDER BY code) AS known
FROM currencies
