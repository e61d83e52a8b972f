-- What the caches hold beside start codes and personas: the ladder's static tables and its players; and the notices
-- that tell every change of what a cache holds, whoever makes it.

-- ---- static tables, with the rows that every installation begins with; more may be put in by plain SQL at any time

CREATE TABLE maps (
	code   text PRIMARY KEY CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
	name   text NOT NULL DEFAULT '',
	active boolean NOT NULL DEFAULT true
);

CREATE TABLE races (
	code text PRIMARY KEY CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
	name text NOT NULL DEFAULT '',
	game text NOT NULL DEFAULT ''
);

CREATE TABLE regions ( -- where a match is hosted
	code text PRIMARY KEY CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
	name text NOT NULL DEFAULT ''
);

CREATE TABLE countries (
	code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2}$'), -- ISO 3166-1 alpha-2
	name text NOT NULL DEFAULT ''
);

INSERT INTO maps (code, name) VALUES
	('amber_causeway', 'Amber Causeway'), ('black_orchard', 'Black Orchard'), ('copper_delta', 'Copper Delta'),
	('drowned_citadel', 'Drowned Citadel'), ('frostbound', 'Frostbound'), ('glass_desert', 'Glass Desert'),
	('hollow_crown', 'Hollow Crown'), ('last_lantern', 'Last Lantern'), ('red_terrace', 'Red Terrace'),
	('silent_orbit', 'Silent Orbit');

INSERT INTO races (code, name, game) VALUES
	('bw_terran', 'Terran', 'bw'), ('bw_zerg', 'Zerg', 'bw'), ('bw_protoss', 'Protoss', 'bw'),
	('sc2_terran', 'Terran', 'sc2'), ('sc2_zerg', 'Zerg', 'sc2'), ('sc2_protoss', 'Protoss', 'sc2');

INSERT INTO regions (code, name) VALUES
	('naw', 'North America West'), ('nac', 'North America Central'), ('nae', 'North America East'),
	('cam', 'Central America'), ('sam', 'South America'), ('euw', 'Western Europe'), ('eun', 'Northern Europe'),
	('eue', 'Eastern Europe'), ('afr', 'Africa'), ('mea', 'Middle East'), ('sas', 'South Asia'),
	('sea', 'Southeast Asia'), ('chn', 'China'), ('kor', 'Korea'), ('jpn', 'Japan'), ('oce', 'Oceania');

INSERT INTO countries (code, name) VALUES
	('AD', 'Andorra'), ('AE', 'United Arab Emirates'), ('AF', 'Afghanistan'), ('AG', 'Antigua and Barbuda'),
	('AI', 'Anguilla'), ('AL', 'Albania'), ('AM', 'Armenia'), ('AO', 'Angola'), ('AQ', 'Antarctica'),
	('AR', 'Argentina'), ('AS', 'American Samoa'), ('AT', 'Austria'), ('AU', 'Australia'), ('AW', 'Aruba'),
	('AX', 'Åland Islands'), ('AZ', 'Azerbaijan'), ('BA', 'Bosnia and Herzegovina'), ('BB', 'Barbados'),
	('BD', 'Bangladesh'), ('BE', 'Belgium'), ('BF', 'Burkina Faso'), ('BG', 'Bulgaria'), ('BH', 'Bahrain'),
	('BI', 'Burundi'), ('BJ', 'Benin'), ('BL', 'Saint Barthélemy'), ('BM', 'Bermuda'), ('BN', 'Brunei'),
	('BO', 'Bolivia'), ('BQ', 'Bonaire, Sint Eustatius and Saba'), ('BR', 'Brazil'), ('BS', 'Bahamas'),
	('BT', 'Bhutan'), ('BV', 'Bouvet Island'), ('BW', 'Botswana'), ('BY', 'Belarus'), ('BZ', 'Belize'),
	('CA', 'Canada'), ('CC', 'Cocos Islands'), ('CD', 'Democratic Republic of the Congo'),
	('CF', 'Central African Republic'), ('CG', 'Republic of the Congo'), ('CH', 'Switzerland'),
	('CI', 'Côte d''Ivoire'), ('CK', 'Cook Islands'), ('CL', 'Chile'), ('CM', 'Cameroon'), ('CN', 'China'),
	('CO', 'Colombia'), ('CR', 'Costa Rica'), ('CU', 'Cuba'), ('CV', 'Cabo Verde'), ('CW', 'Curaçao'),
	('CX', 'Christmas Island'), ('CY', 'Cyprus'), ('CZ', 'Czechia'), ('DE', 'Germany'), ('DJ', 'Djibouti'),
	('DK', 'Denmark'), ('DM', 'Dominica'), ('DO', 'Dominican Republic'), ('DZ', 'Algeria'), ('EC', 'Ecuador'),
	('EE', 'Estonia'), ('EG', 'Egypt'), ('EH', 'Western Sahara'), ('ER', 'Eritrea'), ('ES', 'Spain'),
	('ET', 'Ethiopia'), ('FI', 'Finland'), ('FJ', 'Fiji'), ('FK', 'Falkland Islands'), ('FM', 'Micronesia'),
	('FO', 'Faroe Islands'), ('FR', 'France'), ('GA', 'Gabon'), ('GB', 'United Kingdom'), ('GD', 'Grenada'),
	('GE', 'Georgia'), ('GF', 'French Guiana'), ('GG', 'Guernsey'), ('GH', 'Ghana'), ('GI', 'Gibraltar'),
	('GL', 'Greenland'), ('GM', 'Gambia'), ('GN', 'Guinea'), ('GP', 'Guadeloupe'), ('GQ', 'Equatorial Guinea'),
	('GR', 'Greece'), ('GS', 'South Georgia and the South Sandwich Islands'), ('GT', 'Guatemala'), ('GU', 'Guam'),
	('GW', 'Guinea-Bissau'), ('GY', 'Guyana'), ('HK', 'Hong Kong'), ('HM', 'Heard Island and McDonald Islands'),
	('HN', 'Honduras'), ('HR', 'Croatia'), ('HT', 'Haiti'), ('HU', 'Hungary'), ('ID', 'Indonesia'),
	('IE', 'Ireland'), ('IL', 'Israel'), ('IM', 'Isle of Man'), ('IN', 'India'),
	('IO', 'British Indian Ocean Territory'), ('IQ', 'Iraq'), ('IR', 'Iran'), ('IS', 'Iceland'), ('IT', 'Italy'),
	('JE', 'Jersey'), ('JM', 'Jamaica'), ('JO', 'Jordan'), ('JP', 'Japan'), ('KE', 'Kenya'), ('KG', 'Kyrgyzstan'),
	('KH', 'Cambodia'), ('KI', 'Kiribati'), ('KM', 'Comoros'), ('KN', 'Saint Kitts and Nevis'),
	('KP', 'North Korea'), ('KR', 'South Korea'), ('KW', 'Kuwait'), ('KY', 'Cayman Islands'), ('KZ', 'Kazakhstan'),
	('LA', 'Laos'), ('LB', 'Lebanon'), ('LC', 'Saint Lucia'), ('LI', 'Liechtenstein'), ('LK', 'Sri Lanka'),
	('LR', 'Liberia'), ('LS', 'Lesotho'), ('LT', 'Lithuania'), ('LU', 'Luxembourg'), ('LV', 'Latvia'),
	('LY', 'Libya'), ('MA', 'Morocco'), ('MC', 'Monaco'), ('MD', 'Moldova'), ('ME', 'Montenegro'),
	('MF', 'Saint Martin'), ('MG', 'Madagascar'), ('MH', 'Marshall Islands'), ('MK', 'North Macedonia'),
	('ML', 'Mali'), ('MM', 'Myanmar'), ('MN', 'Mongolia'), ('MO', 'Macao'), ('MP', 'Northern Mariana Islands'),
	('MQ', 'Martinique'), ('MR', 'Mauritania'), ('MS', 'Montserrat'), ('MT', 'Malta'), ('MU', 'Mauritius'),
	('MV', 'Maldives'), ('MW', 'Malawi'), ('MX', 'Mexico'), ('MY', 'Malaysia'), ('MZ', 'Mozambique'),
	('NA', 'Namibia'), ('NC', 'New Caledonia'), ('NE', 'Niger'), ('NF', 'Norfolk Island'), ('NG', 'Nigeria'),
	('NI', 'Nicaragua'), ('NL', 'Netherlands'), ('NO', 'Norway'), ('NP', 'Nepal'), ('NR', 'Nauru'), ('NU', 'Niue'),
	('NZ', 'New Zealand'), ('OM', 'Oman'), ('PA', 'Panama'), ('PE', 'Peru'), ('PF', 'French Polynesia'),
	('PG', 'Papua New Guinea'), ('PH', 'Philippines'), ('PK', 'Pakistan'), ('PL', 'Poland'),
	('PM', 'Saint Pierre and Miquelon'), ('PN', 'Pitcairn Islands'), ('PR', 'Puerto Rico'), ('PS', 'Palestine'),
	('PT', 'Portugal'), ('PW', 'Palau'), ('PY', 'Paraguay'), ('QA', 'Qatar'), ('RE', 'Réunion'), ('RO', 'Romania'),
	('RS', 'Serbia'), ('RU', 'Russia'), ('RW', 'Rwanda'), ('SA', 'Saudi Arabia'), ('SB', 'Solomon Islands'),
	('SC', 'Seychelles'), ('SD', 'Sudan'), ('SE', 'Sweden'), ('SG', 'Singapore'),
	('SH', 'Saint Helena, Ascension and Tristan da Cunha'), ('SI', 'Slovenia'), ('SJ', 'Svalbard and Jan Mayen'),
	('SK', 'Slovakia'), ('SL', 'Sierra Leone'), ('SM', 'San Marino'), ('SN', 'Senegal'), ('SO', 'Somalia'),
	('SR', 'Suriname'), ('SS', 'South Sudan'), ('ST', 'São Tomé and Príncipe'), ('SV', 'El Salvador'),
	('SX', 'Sint Maarten'), ('SY', 'Syria'), ('SZ', 'Eswatini'), ('TC', 'Turks and Caicos Islands'), ('TD', 'Chad'),
	('TF', 'French Southern Territories'), ('TG', 'Togo'), ('TH', 'Thailand'), ('TJ', 'Tajikistan'),
	('TK', 'Tokelau'), ('TL', 'Timor-Leste'), ('TM', 'Turkmenistan'), ('TN', 'Tunisia'), ('TO', 'Tonga'),
	('TR', 'Türkiye'), ('TT', 'Trinidad and Tobago'), ('TV', 'Tuvalu'), ('TW', 'Taiwan'), ('TZ', 'Tanzania'),
	('UA', 'Ukraine'), ('UG', 'Uganda'), ('UM', 'U.S. Minor Outlying Islands'), ('US', 'United States'),
	('UY', 'Uruguay'), ('UZ', 'Uzbekistan'), ('VA', 'Vatican City'), ('VC', 'Saint Vincent and the Grenadines'),
	('VE', 'Venezuela'), ('VG', 'British Virgin Islands'), ('VI', 'U.S. Virgin Islands'), ('VN', 'Vietnam'),
	('VU', 'Vanuatu'), ('WF', 'Wallis and Futuna'), ('WS', 'Samoa'), ('YE', 'Yemen'), ('YT', 'Mayotte'),
	('ZA', 'South Africa'), ('ZM', 'Zambia'), ('ZW', 'Zimbabwe');

-- ---- players

CREATE TABLE players (
	discord_uid        bigint PRIMARY KEY,
	player_name        text,
	country            text REFERENCES countries ON UPDATE CASCADE,
	region             text REFERENCES regions ON UPDATE CASCADE,
	tos_accepted_at    timestamptz CHECK (isfinite(tos_accepted_at)),
	setup_completed_at timestamptz CHECK (isfinite(setup_completed_at)),
	created_at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX players_country ON players (country);
CREATE INDEX players_region ON players (region);

-- the default persona, where none has the key `default`
CREATE INDEX personas_active ON personas (id) WHERE active;

-- The id that a cache's key spells, or NULL: keys come from outside and may be anything.
CREATE FUNCTION key_id(key text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN key ~ '^(0|-?[1-9][0-9]{0,18})$' THEN
		CASE WHEN key::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 THEN key::bigint END
	END
$$;

-- ---- notices: channel shoal_cache, payload "CACHE TXID KEY", heard when the transaction commits
--
--      CACHE       KEY
--      startcode   the code, and #<id>; % when the set of codes is another one
--      persona     <id>, and `default`: any persona may become it, or cease to be
--      player      <discord_uid>
--      static      the table's name
--
-- Of a row that changes its key both are told. KEY * is all of that cache: after TRUNCATE, and instead of more than
-- 100 keys of one statement. A statement that changes nothing that is cached tells nothing: commits with a notice wait
-- for each other, so the work of every minute must not have any.

CREATE FUNCTION tell_cache(cache text, keys text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF cardinality(keys) > 100 THEN
		keys := '{*}';
	END IF;
	-- a transaction's number comes again where a standby that had not heard of it was promoted
	PERFORM pg_notify('shoal_cache', concat_ws(' ', cache,
		pg_current_xact_id() || '.' || (extract(epoch FROM now()) * 1000000)::bigint, key))
	FROM unnest(keys) key;
END $$;

-- In the triggers below, `before` and `after` are the rows of an UPDATE, `rows` those of an INSERT or DELETE. 101 keys
-- are enough to know that there are too many.

CREATE FUNCTION tell_start_codes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		PERFORM public.tell_cache('startcode', ARRAY(
			WITH was AS (
				SELECT id, code, persona_id, active, max_uses, expires_at FROM before
			), is_now AS (
				SELECT id, code, persona_id, active, max_uses, expires_at FROM after
			), changed AS ((TABLE was EXCEPT TABLE is_now) UNION ALL (TABLE is_now EXCEPT TABLE was))
			SELECT v.key FROM changed, LATERAL (VALUES (code), ('#' || id)) v (key)
			UNION
			SELECT '%' FROM (SELECT id, code FROM was EXCEPT SELECT id, code FROM is_now) renamed
			LIMIT 101));
	ELSE
		PERFORM public.tell_cache('startcode', ARRAY(
			SELECT DISTINCT v.key FROM rows, LATERAL (VALUES (code), ('#' || id), ('%')) v (key) LIMIT 101));
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION tell_personas() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		PERFORM public.tell_cache('persona', ARRAY(
			WITH changed AS ((TABLE before EXCEPT TABLE after) UNION ALL (TABLE after EXCEPT TABLE before))
			SELECT DISTINCT v.key FROM changed, LATERAL (VALUES (id::text), ('default'), ('%')) v (key) LIMIT 101));
	ELSE
		PERFORM public.tell_cache('persona', ARRAY(
			SELECT DISTINCT v.key FROM rows, LATERAL (VALUES (id::text), ('default'), ('%')) v (key) LIMIT 101));
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION tell_players() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		PERFORM public.tell_cache('player', ARRAY(
			WITH was AS (
				SELECT discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at
				FROM before
			), is_now AS (
				SELECT discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at
				FROM after
			), changed AS ((TABLE was EXCEPT TABLE is_now) UNION ALL (TABLE is_now EXCEPT TABLE was))
			SELECT DISTINCT discord_uid::text FROM changed LIMIT 101));
	ELSE
		PERFORM public.tell_cache('player', ARRAY(SELECT discord_uid::text FROM rows LIMIT 101));
	END IF;
	RETURN NULL;
END $$;

CREATE FUNCTION tell_static() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'UPDATE' THEN
		PERFORM public.tell_cache('static', ARRAY[TG_TABLE_NAME::text])
		FROM (TABLE before EXCEPT TABLE after LIMIT 1) changed;
	ELSE
		PERFORM public.tell_cache('static', ARRAY[TG_TABLE_NAME::text]) FROM (SELECT FROM rows LIMIT 1) changed;
	END IF;
	RETURN NULL;
END $$;

-- what is told of a TRUNCATE: the trigger's arguments
CREATE FUNCTION tell_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM public.tell_cache(TG_ARGV[0], ARRAY[TG_ARGV[1]]);
	RETURN NULL;
END $$;

DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES
		('start_codes', 'tell_start_codes', 'startcode', '*'),
		('personas', 'tell_personas', 'persona', '*'),
		('players', 'tell_players', 'player', '*'),
		('maps', 'tell_static', 'static', 'maps'),
		('races', 'tell_static', 'static', 'races'),
		('regions', 'tell_static', 'static', 'regions'),
		('countries', 'tell_static', 'static', 'countries')
	) v (name, teller, cache, everything) LOOP
		EXECUTE format('CREATE TRIGGER tell_insert AFTER INSERT ON %I '
			'REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION %I()', t.name, t.teller);
		EXECUTE format('CREATE TRIGGER tell_update AFTER UPDATE ON %I '
			'REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION %I()',
			t.name, t.teller);
		EXECUTE format('CREATE TRIGGER tell_delete AFTER DELETE ON %I '
			'REFERENCING OLD TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION %I()', t.name, t.teller);
		EXECUTE format('CREATE TRIGGER tell_truncate AFTER TRUNCATE ON %I '
			'FOR EACH STATEMENT EXECUTE FUNCTION tell_truncated(%L, %L)', t.name, t.cache, t.everything);
	END LOOP;
END $$;
