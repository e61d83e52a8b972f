/* POST /telegram/BOT: who may send, what is taken, what is answered. */
#ifndef SHOAL_GATEWAY_WEBHOOK_H
#define SHOAL_GATEWAY_WEBHOOK_H

#include "shoal/base/conf.h"
#include "shoal/gateway/intake.h"
#include "shoal/io/httpd.h"

struct webhook;

/* conf and in outlive it; conf has a webhook secret, or is in poll mode (then there is no such path). */
struct webhook *webhook_open(const struct conf *conf, struct intake *in);
void webhook_close(struct webhook *w); /* no request is under way any more */
/* httpd_opts.wants_body: strangers' bodies fill no memory */
bool webhook_wants_body(void *webhook, const struct httpd_request *r);
void webhook_handle(void *webhook, struct httpd_request *r); /* httpd_opts.handle */

#endif
