-- Only the owner of a materialized view may refresh it, and workers may run as somebody else.
ALTER FUNCTION leaderboard_refresh(boolean) SECURITY DEFINER SET search_path = public, pg_temp;
