/* links: base model io store */
/* The ladder's tables and statements against a real PostgreSQL. */
#include "sqlcheck.h"

#include "shoal/base/arena.h"
#include "shoal/store/cache_value.h"

/* Players 1 to 4, and nothing else. */
static void clean(void)
{
	must("TRUNCATE players, player_action_logs, mmrs_1v1, preferences_1v1, matches_1v1, guards, admin_audit "
	     "RESTART IDENTITY");
	must("INSERT INTO players (discord_uid, player_name, country, region, tos_accepted_at, setup_completed_at) "
	     "VALUES (1, 'Ann', 'AT', 'euw', now(), now()), (2, 'Bob', 'BR', 'sam', now(), now()), "
	     "(3, 'Cat', 'CA', 'nae', now(), now()), (4, NULL, NULL, NULL, NULL, NULL)");
}

/* --- the schema against plain SQL */

static void every_column_can_be_inserted(void)
{
	clean();
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr, games_played, games_won, games_lost, games_drawn) "
	     "VALUES (1, 'sc2_zerg', 1612, 6, 3, 2, 1)");
	must("INSERT INTO mmrs_1v1 (discord_uid, race) VALUES (1, 'bw_zerg')");
	CHECK_STR(get("SELECT mmr || '/' || games_played FROM mmrs_1v1 WHERE race = 'bw_zerg'"), "1500/0");
	must("INSERT INTO preferences_1v1 (discord_uid, last_chosen_races, last_chosen_vetoes) "
	     "VALUES (1, '{sc2_zerg}', '{frostbound}')");
	must("INSERT INTO preferences_1v1 (discord_uid) VALUES (2)");
	must(
	    "INSERT INTO matches_1v1 (id, player_1, player_2, race_1, race_2, map, region, report_1, report_2, result, "
	    "mmr_change_1, mmr_change_2, channel_id, created_at, played_at, idempotency_key) VALUES (7, 1, 2, "
	    "'sc2_zerg', "
	    "'bw_zerg', 'frostbound', 'euw', '1', '1', '1', 20, -20, 99, now(), now(), 'match_1_2_1700000000000')");
	must("INSERT INTO matches_1v1 (player_1, player_2) VALUES (1, 2), (2, 1)");
	must("INSERT INTO matches_1v1 (player_1, player_2, result) VALUES (1, 2, 'conflict'), (1, 2, 'draw')");
}

static void wrong_states_are_refused(void)
{
	clean();
#define MMR(...)                                                                                                       \
	try_sql("INSERT INTO mmrs_1v1 (discord_uid, race, games_played, games_won, games_lost, games_drawn) VALUES "   \
	        "(" __VA_ARGS__ ")")
	CHECK_STR(MMR("9, 'sc2_zerg', 0, 0, 0, 0"), "23503 mmrs_1v1_discord_uid_fkey");
	CHECK_STR(MMR("1, 'sc2 zerg', 0, 0, 0, 0"), "23514 mmrs_1v1_race_check");
	CHECK_STR(MMR("1, 'sc2_zerg', 2, 1, 0, 0"), "23514 mmrs_1v1_games");
	CHECK_STR(MMR("1, 'sc2_zerg', 0, 1, -1, 0"), "23514 mmrs_1v1_games_lost_check");
#define RATING(mmr) try_sql("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) VALUES (1, 'sc2_zerg', " mmr ")")
	CHECK_STR(RATING("50001"), "23514 mmrs_1v1_bounds");
	CHECK_STR(RATING("-50001"), "23514 mmrs_1v1_bounds");
#define MATCH(...)                                                                                                     \
	try_sql("INSERT INTO matches_1v1 (player_1, player_2, report_1, report_2, result, mmr_change_1, mmr_change_2)" \
	        " VALUES (" __VA_ARGS__ ")")
	CHECK_STR(MATCH("1, 1, NULL, NULL, NULL, NULL, NULL"), "23514 matches_1v1_two_players");
	CHECK_STR(MATCH("1, 9, NULL, NULL, NULL, NULL, NULL"), "23503 matches_1v1_player_2_fkey");
	CHECK_STR(MATCH("1, 2, 'me', NULL, NULL, NULL, NULL"), "23514 matches_1v1_report_1_check");
	CHECK_STR(MATCH("1, 2, NULL, 'conflict', NULL, NULL, NULL"), "23514 matches_1v1_report_2_check");
	CHECK_STR(MATCH("1, 2, NULL, NULL, '3', NULL, NULL"), "23514 matches_1v1_result_check");
	/* both say the same, so it is that */
	CHECK_STR(MATCH("1, 2, '1', '1', '2', NULL, NULL"), "23514 matches_1v1_as_agreed");
	CHECK_STR(MATCH("1, 2, 'draw', 'draw', 'conflict', NULL, NULL"), "23514 matches_1v1_as_agreed");
	CHECK_STR(MATCH("1, 2, '1', '1', NULL, NULL, NULL"), "23514 matches_1v1_as_agreed");
	/* what one wins the other loses, and only when it is settled */
	CHECK_STR(MATCH("1, 2, NULL, NULL, '1', 20, -19"), "23514 matches_1v1_zero_sum");
	CHECK_STR(MATCH("1, 2, NULL, NULL, '1', 20, NULL"), "23514 matches_1v1_zero_sum");
	CHECK_STR(MATCH("1, 2, NULL, NULL, '1', NULL, 20"), "23514 matches_1v1_zero_sum");
	CHECK_STR(MATCH("1, 2, NULL, NULL, NULL, 20, -20"), "23514 matches_1v1_zero_sum");
	CHECK_STR(MATCH("1, 2, '1', '2', 'conflict', 20, -20"), "23514 matches_1v1_zero_sum");
	CHECK_STR(get("SELECT count(*) FROM matches_1v1"), "0");
}

static void settled_is_settled(void)
{
	static const char *const refused[] = {
	    "result = '2'", "result = 'conflict', mmr_change_1 = NULL, mmr_change_2 = NULL",
	    "result = NULL, mmr_change_1 = NULL, mmr_change_2 = NULL", "mmr_change_1 = 21, mmr_change_2 = -21",
	    "mmr_change_1 = NULL, mmr_change_2 = NULL"};
	char sql[200];

	clean();
	CHECK_STR(MATCH("1, 2, '1', NULL, NULL, NULL, NULL"), "ok");
	CHECK_STR(try_sql("UPDATE matches_1v1 SET report_2 = '2', result = 'conflict'"), "ok");
	CHECK_STR(try_sql("UPDATE matches_1v1 SET result = NULL"), "23514 matches_1v1_settled_once");
	CHECK_STR(try_sql("UPDATE matches_1v1 SET result = '1', mmr_change_1 = 20, mmr_change_2 = -20"), "ok");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		snprintf(sql, sizeof(sql), "UPDATE matches_1v1 SET %s", refused[i]);
		CHECK_STR(try_sql(sql), "23514 matches_1v1_settled_once");
	}
	CHECK_STR(try_sql("UPDATE matches_1v1 SET player_2 = 3"), "23514 matches_1v1_players");
	CHECK_STR(try_sql("UPDATE matches_1v1 SET channel_id = 5, map = 'x'"), "ok");
	CHECK_STR(try_sql("DELETE FROM matches_1v1"), "23514 matches_1v1_settled_once");
}

static void only_what_is_not_settled_goes(void)
{
	clean();
	CHECK_STR(MATCH("1, 2, '1', NULL, NULL, NULL, NULL"), "ok");
	CHECK_STR(MATCH("1, 2, '1', '2', 'conflict', NULL, NULL"), "ok");
	CHECK_STR(try_sql("DELETE FROM matches_1v1"), "ok");
	CHECK_STR(get("SELECT count(*) FROM matches_1v1"), "0");
}

/* --- who a player is */

#define LOAD(name, ...) load_into(name, &f, &a, (const char *const[]){__VA_ARGS__})

static void profile_is_one_query(void)
{
	struct arena a;
	struct facts f;

	arena_init(&a);
	clean();
	LOAD("ladder_profile", "1", NONE); /* nothing played yet */
	CHECK_INT(f.ratings.n, 1);
	CHECK_STR(f.ratings.v[0].name, "Ann");
	CHECK_STR(f.ratings.v[0].country, "Austria");
	CHECK_STR(f.ratings.v[0].region, "Western Europe");
	CHECK(f.ratings.v[0].set_up && f.ratings.v[0].uid == 1);
	CHECK_STR(f.ratings.v[0].race, "");
	CHECK_STR(f.ratings.v[0].races, "");
	must("INSERT INTO mmrs_1v1 VALUES (1, 'sc2_zerg', 1612, 6, 3, 2, 1), (1, 'bw_zerg', 1700, 1, 1, 0, 0), "
	     "(1, 'gone', 1400, 1, 0, 1, 0), (2, 'bw_zerg', 1, 0, 0, 0, 0)");
	must("INSERT INTO preferences_1v1 VALUES (1, '{sc2_zerg,gone}', '{frostbound,away}')");
	LOAD("ladder_profile", "1", "Ann"); /* meant twice, there once */
	CHECK_INT(f.ratings.n, 3);
	CHECK_STR(f.ratings.v[0].race, "Zerg (bw)");
	CHECK(f.ratings.v[0].mmr == 1700 && f.ratings.v[1].mmr == 1612 && f.ratings.v[1].played == 6 &&
	      f.ratings.v[1].won == 3 && f.ratings.v[1].lost == 2 && f.ratings.v[1].drawn == 1);
	CHECK_STR(f.ratings.v[2].race, "gone");
	CHECK_STR(f.ratings.v[0].races, "Zerg (sc2), gone");
	CHECK_STR(f.ratings.v[0].vetoes, "Frostbound, away");
	LOAD("ladder_profile", NONE, "aNN");
	CHECK(f.ratings.n == 3 && f.ratings.v[0].uid == 1);
	LOAD("ladder_profile", "4", NONE);
	CHECK(f.ratings.n == 1 && !f.ratings.v[0].set_up);
	CHECK_STR(f.ratings.v[0].name, "");
	LOAD("ladder_profile", "9", "nobody");
	CHECK_INT(f.ratings.n, 0);
	LOAD("ladder_profile", NONE, NONE);
	CHECK_INT(f.ratings.n, 0);
	must("INSERT INTO players (discord_uid, player_name) SELECT 100 + i, 'BOB' FROM generate_series(1, 20) i");
	LOAD("ladder_profile", NONE, "bob");
	CHECK(f.ratings.n == 6 && f.ratings.v[0].uid == 2 && f.ratings.v[5].uid == 105);
	/* who has another's id for a name */
	must("UPDATE players SET player_name = '2' WHERE discord_uid = 3");
	LOAD("ladder_profile", "2", "2");
	CHECK(f.ratings.n == 2 && f.ratings.v[0].uid == 2 && f.ratings.v[1].uid == 3);
	arena_release(&a);
}

/* --- the leaderboard */

/* 30 entries of 20 players: Pn has the rating 2000 - n with Zerg; of every other one also 1000 - n with Terran. P1 to
 * P5 are in AT and euw, P6 to P10 in AT and kor, the others in BR and kor, but P20 is nowhere. */
static void some_players(void)
{
	must("TRUNCATE players, mmrs_1v1, preferences_1v1, matches_1v1");
	must("INSERT INTO players (discord_uid, player_name, country, region) SELECT i, 'P' || i, "
	     "CASE WHEN i <= 10 THEN 'AT' WHEN i < 20 THEN 'BR' END, CASE WHEN i <= 5 THEN 'euw' WHEN i < 20 THEN "
	     "'kor' END "
	     "FROM generate_series(1, 20) i");
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT i, 'sc2_zerg', 2000 - i FROM generate_series(1, 20) "
	     "i");
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT i, 'bw_terran', 1000 - i FROM generate_series(2, "
	     "20, 2) i");
	must("SELECT leaderboard_refresh(true)");
}

/* "PAGE/PAGES of TOTAL: NAME NAME ...", or what means nothing. */
static const char *page(const char *key)
{
	static char sql[16384];

	snprintf(sql, sizeof(sql), "PREPARE board AS %s", sql_get("cache_board")->sql);
	must(sql);
	snprintf(sql, sizeof(sql), "EXECUTE board('%s')", key);
	PGresult *r = PQexec(db, sql);

	CHECK_STR(PQgetvalue(r, 0, 0), key);
	/* the cache can read it */
	struct cache_value *v = cache_value_read(CACHE_BOARD, span_of(key), span_of(PQgetvalue(r, 0, 1)), true);

	CHECK(v && v->found && v->board.known);
	if (!v)
		return "";
	int n = v->board.unknown ? snprintf(sql, sizeof(sql), "unknown %s", v->board.unknown)
	                         : snprintf(sql, sizeof(sql), "%d/%d of %d:", (int)v->board.page, (int)v->board.pages,
	                                    (int)v->board.total);

	for (size_t i = 0; i < v->board.n; i++) {
		CHECK_INT(v->board.v[i].place, (v->board.page - 1) * 10 + (int)i + 1);
		n += snprintf(sql + n, sizeof(sql) - (size_t)n, " %s", v->board.v[i].name);
	}
	cache_value_unref(v);
	PQclear(r);
	must("DEALLOCATE board");
	return sql;
}

static void pages_are_full_and_in_order(void)
{
	some_players();
	CHECK_STR(page("|||1"), "1/3 of 30: P1 P2 P3 P4 P5 P6 P7 P8 P9 P10");
	CHECK_STR(page("|||3"), "3/3 of 30: P2 P4 P6 P8 P10 P12 P14 P16 P18 P20");
	CHECK_STR(page("sc2_zerg|||2"), "2/2 of 20: P11 P12 P13 P14 P15 P16 P17 P18 P19 P20");
	CHECK_STR(page("bw_terran|euw||1"), "1/1 of 2: P2 P4");
	CHECK_STR(page("|kor|AT|1"), "1/1 of 8: P6 P7 P8 P9 P10 P6 P8 P10");
	CHECK_STR(page("sc2_zerg|kor|BR|1"), "1/1 of 9: P11 P12 P13 P14 P15 P16 P17 P18 P19");
	CHECK_STR(page("bw_terran||AT|1"), "1/1 of 5: P2 P4 P6 P8 P10");
	CHECK_STR(page("|euw||1"), "1/1 of 7: P1 P2 P3 P4 P5 P2 P4");
}

static void filters_are_taken_as_people_say_them(void)
{
	some_players();
	CHECK_STR(page("SC2_ZERG|Western europe|austria|1"), "1/1 of 5: P1 P2 P3 P4 P5");
	CHECK_STR(page("|EUW|at|1"), "1/1 of 7: P1 P2 P3 P4 P5 P2 P4");
	CHECK_STR(page("|||99"), "3/3 of 30: P2 P4 P6 P8 P10 P12 P14 P16 P18 P20");
	CHECK_STR(page("|||-5"), "1/3 of 30: P1 P2 P3 P4 P5 P6 P7 P8 P9 P10");
	CHECK_STR(page("|||"), "1/3 of 30: P1 P2 P3 P4 P5 P6 P7 P8 P9 P10");
	CHECK_STR(page("|||99999999999999999999"), "1/3 of 30: P1 P2 P3 P4 P5 P6 P7 P8 P9 P10");
	CHECK_STR(page("bw_protoss|||1"), "1/1 of 0:");
	CHECK_STR(page("||AQ|4"), "1/1 of 0:");
	CHECK_STR(page("jedi|||1"), "unknown race");
	CHECK_STR(page("zerg|||1"), "unknown race"); /* of which game? */
	CHECK_STR(page("|nowhere||1"), "unknown region");
	CHECK_STR(page("|euw|ZZ|1"), "unknown country");
	/* codes that are too long for a button */
	must("INSERT INTO races (code, name, game) VALUES ('the_longest_race_that_there_is', 'Longest', '')");
	must("INSERT INTO mmrs_1v1 (discord_uid, race) VALUES (7, 'the_longest_race_that_there_is')");
	must("SELECT leaderboard_refresh(true)");
	CHECK_STR(page("longest|||1"), "1/1 of 1: P7");
	char key[64];

	snprintf(key, sizeof(key), "%s|||1", get("SELECT short_code('the_longest_race_that_there_is')"));
	CHECK_INT(strlen(key), strlen("~12345678|||1"));
	CHECK_STR(page(key), "1/1 of 1: P7");
	must("DELETE FROM races WHERE code LIKE 'the_longest%'");
}

static void empty_leaderboard_is_a_page(void)
{
	must("TRUNCATE players, mmrs_1v1, preferences_1v1, matches_1v1");
	CHECK_STR(get("SELECT leaderboard_refresh(true)"), "0");
	CHECK_STR(page("|||1"), "1/1 of 0:");
}

/* "PLACE:MMR:RACE ..." */
static const char *ranks(const char *uid, const char *race, const char *region, const char *country)
{
	static char out[1000];
	struct arena a;
	struct facts f;
	size_t n = 0;

	arena_init(&a);
	out[0] = '\0';
	LOAD("ladder_ranks", uid, race, region, country);
	for (size_t i = 0; i < f.ranks.n; i++)
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%d:%d:%s", i ? " " : "", (int)f.ranks.v[i].place,
		                      (int)f.ranks.v[i].mmr, f.ranks.v[i].race);
	arena_release(&a);
	return out;
}

static void ranks_are_those_of_the_pages(void)
{
	some_players();
	CHECK_STR(ranks("1", "", "", ""), "1:1999:Zerg (sc2)");
	CHECK_STR(ranks("20", "", "", ""), "20:1980:Zerg (sc2) 30:980:Terran (bw)");
	CHECK_STR(ranks("20", "bw_terran", "", ""), "10:980:Terran (bw)");
	CHECK_STR(ranks("20", "", "kor", ""), "");
	CHECK_STR(ranks("8", "", "kor", "Austria"), "3:1992:Zerg (sc2) 7:992:Terran (bw)");
	CHECK_STR(ranks("8", "", "", "BR"), "");
	CHECK_STR(ranks("8", "jedi", "", ""), "");
	CHECK_STR(ranks("99", "", "", ""), "");
	/* of equal ratings the older account first, on the pages as well */
	must("UPDATE mmrs_1v1 SET mmr = 1500");
	must("SELECT leaderboard_refresh(true)");
	CHECK_STR(page("|||1"), "1/3 of 30: P1 P2 P2 P3 P4 P4 P5 P6 P6 P7");
	CHECK_STR(ranks("4", "", "", ""), "5:1500:Terran (bw) 6:1500:Zerg (sc2)");
}

/* Steps are a thousand places apart: around them nothing may be missed or counted twice. */
static void places_go_on_across_the_steps(void)
{
	must("TRUNCATE players, mmrs_1v1, preferences_1v1, matches_1v1");
	must("INSERT INTO players (discord_uid, player_name, country, region) SELECT i, 'P' || i, "
	     "(ARRAY['AT', 'BR', 'CA'])[1 + i % 3], (ARRAY['euw', 'kor'])[1 + i % 2] FROM generate_series(1, 4321) i");
	must("INSERT INTO mmrs_1v1 (discord_uid, race, mmr) SELECT i, (ARRAY['sc2_zerg', 'bw_zerg'])[1 + i % 2], "
	     "1500 + i % 50 FROM generate_series(1, 4321) i");
	CHECK_STR(get("SELECT leaderboard_refresh(true)"), "4321");
	/* every place of every filter, against a count that knows of no steps */
	CHECK_STR(get("SELECT count(*) FROM leaderboard_1v1 e WHERE leaderboard_place(NULL, NULL, NULL, e) <> (SELECT "
	              "count(*) FROM leaderboard_1v1 o WHERE (o.below, o.discord_uid, o.race) <= (e.below, "
	              "e.discord_uid, e.race)) AND e.discord_uid % 10 = 0"),
	          "0");
	CHECK_STR(
	    get("SELECT count(*) FROM leaderboard_1v1 e WHERE leaderboard_place(e.race, NULL, e.country, e) <> "
	        "(SELECT count(*) FROM leaderboard_1v1 o WHERE o.race = e.race AND o.country = e.country AND "
	        "(o.below, o.discord_uid, o.race) <= (e.below, e.discord_uid, e.race)) AND e.discord_uid % 10 = 1"),
	    "0");
	/* all pages one after the other are all entries in order */
	CHECK_STR(
	    get("SELECT count(*) FROM (SELECT e.discord_uid AS paged, row_number() OVER () AS n FROM "
	        "generate_series(0, 432) p, LATERAL leaderboard_entries(NULL, NULL, NULL, p * 10 + 1, 10) e) pages "
	        "FULL JOIN (SELECT discord_uid, row_number() OVER (ORDER BY below, discord_uid, race) AS n "
	        "FROM leaderboard_1v1) sorted ON sorted.n = pages.n WHERE paged IS DISTINCT FROM discord_uid"),
	    "0");
}

static void refresh_is_done_by_one_and_when_needed(void)
{
	PGconn *other = pgserver_connect(&server);

	some_players();
	PQclear(PQexec(other, "BEGIN"));
	PQclear(PQexec(other, "SELECT leaderboard_refresh(true)"));
	/* who only looks leaves it to the other one; readers see the old one meanwhile */
	must("UPDATE mmrs_1v1 SET mmr = 3000 WHERE discord_uid = 20 AND race = 'sc2_zerg'");
	CHECK_STR(get("SELECT leaderboard_refresh(false)"), "");
	CHECK_STR(page("|||1"), "1/3 of 30: P1 P2 P3 P4 P5 P6 P7 P8 P9 P10");
	PQclear(PQexec(other, "COMMIT"));
	PQfinish(other);
	CHECK_STR(get("SELECT leaderboard_refresh(true)"), "30");
	CHECK_STR(page("|||1"), "1/3 of 30: P20 P1 P2 P3 P4 P5 P6 P7 P8 P9");
	/* by whoever may call it, though only the owner of a view may refresh it */
	must("CREATE ROLE somebody; SET ROLE somebody");
	CHECK_STR(get("SELECT leaderboard_refresh(true)"), "30");
	must("RESET ROLE");
	/* all workers forget their pages */
	must("LISTEN shoal_cache");
	must("SELECT leaderboard_refresh(true)");
	PQconsumeInput(db);
	PGnotify *told = PQnotifies(db);

	CHECK(told && strncmp(told->extra, "board ", 6) == 0 && strcmp(strrchr(told->extra, ' '), " *") == 0);
	PQfreemem(told);
	must("UNLISTEN *");
}

int main(void)
{
	sqlcheck_begin();
	RUN(every_column_can_be_inserted);
	RUN(wrong_states_are_refused);
	RUN(settled_is_settled);
	RUN(only_what_is_not_settled_goes);
	RUN(profile_is_one_query);
	RUN(pages_are_full_and_in_order);
	RUN(filters_are_taken_as_people_say_them);
	RUN(empty_leaderboard_is_a_page);
	RUN(ranks_are_those_of_the_pages);
	RUN(places_go_on_across_the_steps);
	RUN(refresh_is_done_by_one_and_when_needed);
	PQfinish(db);
	DONE();
}
