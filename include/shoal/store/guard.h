/* The guard rows of exactly-once commits (sql/migrations/001_base.sql). */
#ifndef SHOAL_STORE_GUARD_H
#define SHOAL_STORE_GUARD_H

/* How long one stands before sql/queries/fleet_old_guards.sql may remove it. tests/integration/test_fleet.c holds the
 * statement to it. */
#define GUARD_LIFE_S (2 * 86400)

#endif
