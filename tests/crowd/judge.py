"""The judge of the crowd: reads the tables and the line of those who wait, and says what cannot be. It shares no code with
Shoal, and does not ask how something came about."""
import json
import re

LINE = "shoal:{0}:line"
AT_ONCE, WIDENS = 100, 10  # points, and more of them for each second of waiting
SLACK_S = 1  # between the clocks of two servers on a machine that may stand still


def players(rows, r, found):
    """Who asked for a match has one, waits, or has left."""
    joined = {}
    for uid, at in rows("SELECT discord_uid, extract(epoch FROM created_at) FROM player_action_logs WHERE action = "
                        "'joined queue' ORDER BY id"):
        if uid in joined:
            found.append("player %s joined twice" % uid)
        joined[uid] = float(at)
    matched = {}
    for match, one, two in rows("SELECT id, player_1, player_2 FROM matches_1v1"):
        for uid in (one, two):
            matched.setdefault(uid, []).append(match)
    for uid, several in matched.items():
        if len(several) > 1:
            found.append("player %s has the matches %s" % (uid, several))
        if uid not in joined:
            found.append("player %s has a match and did not ask for one" % uid)
    stands = {int(uid): json.loads(text) for uid, text in r.hgetall(LINE).items()}
    for uid in joined:
        state = stands.get(uid, {}).get("s", "nowhere")
        if state != ("met" if uid in matched else state if state in ("waiting", "left") else "in a match or waiting"):
            found.append("player %s is %s, with the matches %s" % (uid, state, matched.get(uid, [])))
    return joined, matched, {uid: s for uid, s in stands.items() if s["s"] == "waiting"}


def line(r, waiting, found):
    """What the line is looked up by says the same as it says of each player."""
    since = {int(uid) for uid in r.zrange(LINE + ":since", 0, -1)}
    if since != set(waiting):
        found.append("in line: %s" % sorted(since ^ set(waiting))[:5])
    ratings = {tuple(member.split()) + (int(mmr),) for member, mmr in r.zrange(LINE + ":mmr", 0, -1, withscores=True)}
    wanted = {(str(uid), race, int(mmr)) for uid, s in waiting.items() for race, mmr in s["races"].items()}
    if ratings != wanted:
        found.append("ratings: %s" % sorted(ratings ^ wanted)[:5])


def matches(rows, joined, found):
    """Each is what both allowed, made once for its pairing, not farther apart than their waiting excuses. (gap, seconds)"""
    maps = {code for (code,) in rows("SELECT code FROM maps WHERE active")}
    regions = {code for (code,) in rows("SELECT code FROM regions")}
    asked = {uid: details for uid, details in rows(
        "SELECT discord_uid, details FROM player_action_logs WHERE action = 'joined queue'")}
    mmr = {(uid, race): value for uid, race, value in rows("SELECT discord_uid, race, mmr FROM mmrs_1v1")}
    seen, gaps = set(), []
    for number, one, two, race_1, race_2, board, region, key in rows(
            "SELECT id, player_1, player_2, race_1, race_2, map, region, idempotency_key FROM matches_1v1"):
        named = re.fullmatch(r"match_(\d+)_(\d+)_(\d{13})", key or "")
        if not named or (int(named[1]), int(named[2])) != (one, two) or one >= two or key in seen:
            found.append("match %s of %s and %s has the key %s" % (number, one, two, key))
            continue
        seen.add(key)
        wants = [asked.get(uid, {"races": [], "vetoes": []}) for uid in (one, two)]
        if race_1 not in wants[0]["races"] or race_2 not in wants[1]["races"]:
            found.append("match %s is %s against %s, they chose %s" % (number, race_1, race_2, [w["races"] for w in wants]))
        if board not in maps or any(board in w["vetoes"] for w in wants) or region not in regions:
            found.append("match %s is on %s in %s, vetoed were %s" % (number, board, region, [w["vetoes"] for w in wants]))
        gap = abs(mmr.get((one, race_1), 1500) - mmr.get((two, race_2), 1500))
        waited = max(int(named[3]) / 1000 - joined.get(uid, 0) for uid in (one, two))
        gaps.append((gap, waited))
        if gap > AT_ONCE + WIDENS * (max(waited, 0) + SLACK_S):
            found.append("match %s: %d points apart after %.1f s" % (number, gap, waited))
    return gaps


def left_over(waiting, found):
    """Nobody waits beside somebody who fits at once."""
    best = sorted((int(mmr), uid) for uid, s in waiting.items() for mmr in s["races"].values())
    for (low, one), (high, two) in zip(best, best[1:]):
        if one != two and high - low <= AT_ONCE:
            found.append("%s and %s wait, %d apart" % (one, two, high - low))


def look(rows, r):
    """At rest: (what is wrong, [(gap, seconds waited)] of the matches, who waits)."""
    found = []
    joined, _, waiting = players(rows, r, found)
    line(r, waiting, found)
    gaps = matches(rows, joined, found)
    left_over(waiting, found)
    return found, gaps, waiting
