-- A persona is one value of the caches, which take 4 MiB of JSON at most: reading more holds a worker up for longer than
-- 50 ms. All that the verbs take fits, whatever is written in it. What is there already stays until it is changed.
ALTER TABLE personas ADD CONSTRAINT personas_size CHECK (
	octet_length(to_json(name)::text) + octet_length(to_json(greeting)::text) +
	coalesce(octet_length(to_json(prompt)::text), 0) + octet_length(to_json(replies)::text) <= 4000000) NOT VALID;
