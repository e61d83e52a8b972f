-- Holds a start code, so that nobody comes by it meanwhile.
-- $1 code
SELECT id FROM start_codes WHERE code = $1::text FOR UPDATE
