/* POST /telegram/BOT and /discord/BOT (interactions.h): who may send, what is taken, what is answered. */
#ifndef SHOAL_GATEWAY_WEBHOOK_H
#define SHOAL_GATEWAY_WEBHOOK_H

#include "shoal/base/conf.h"
#include "shoal/gateway/intake.h"
#include "shoal/gateway/tables.h"
#include "shoal/io/httpd.h"

struct webhook;

/* What it is given outlives it; conf has a webhook secret, or is in poll mode (then there is no path for Telegram).
 * tables: NULL where no interactions are possible. */
struct webhook *webhook_open(const struct conf *conf, struct intake *in, struct tables *tables);
void webhook_close(struct webhook *w); /* no request is under way any more */
/* httpd_opts.wants_body: strangers' bodies fill no memory */
bool webhook_wants_body(void *webhook, const struct httpd_request *r);
void webhook_handle(void *webhook, struct httpd_request *r); /* httpd_opts.handle */

#endif
