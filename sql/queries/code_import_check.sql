-- What stands against an import: lines whose code exists or whose persona does not.
-- $1 the rows: [{"line", "code", "persona", ...}]
SELECT r.line, r.code, r.persona, s.id IS NOT NULL AS taken
FROM jsonb_to_recordset($1::jsonb) r (line bigint, code text, persona text)
LEFT JOIN start_codes s ON s.code = r.code
LEFT JOIN personas p ON p.key = r.persona
WHERE s.id IS NOT NULL OR (r.persona IS NOT NULL AND p.id IS NULL)
ORDER BY r.line
