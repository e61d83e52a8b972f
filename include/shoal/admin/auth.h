/* Who asks: the bearer tokens of SHOAL_ADMIN_TOKEN and SHOAL_VIEWER_TOKEN. */
#ifndef SHOAL_ADMIN_AUTH_H
#define SHOAL_ADMIN_AUTH_H

#include <stdint.h>

#include "shoal/base/arena.h"
#include "shoal/base/conf.h"
#include "shoal/io/httpd.h"

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_ADMIN };
const char *role_name(enum role role); /* "viewer" */

struct auth;

/* NULL with *why where the tokens will not do. */
struct auth *auth_open(const struct conf *conf, const char **why);
void auth_close(struct auth *a);

/* What the token of a request is good for, without counting it as a try. */
enum role auth_peek(const struct auth *a, const struct httpd_request *r);

/* Wrong tokens are held to login_limit.h. The right one is not, or whoever shares its bearer's address, as all do
 * behind a proxy, could shut them out; only one so short that it could be found by trying waits as the wrong ones do.
 */
struct login {
	enum role role;
	bool tried;        /* a token was given */
	int64_t wait_ms;   /* not 0: too many wrong ones came from there */
	const char *actor; /* for admin_audit: "admin:1f2e3d4c@127.0.0.1", the token by its fingerprint; in the
	                      request's arena */
};
struct login auth_login(struct auth *a, struct httpd_request *r);

#endif
