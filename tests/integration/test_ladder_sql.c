/* links: base model io store */
/* The ladder's tables and statements against a real PostgreSQL. */
#include "sqlcheck.h"

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
}

int main(void)
{
	sqlcheck_begin();
	RUN(every_column_can_be_inserted);
	RUN(wrong_states_are_refused);
	RUN(settled_is_settled);
	PQfinish(db);
	DONE();
}
