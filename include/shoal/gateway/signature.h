/* Ed25519, as Discord signs its requests: over the timestamp's text and the body as it came. */
#ifndef SHOAL_GATEWAY_SIGNATURE_H
#define SHOAL_GATEWAY_SIGNATURE_H

#include <stdbool.h>

#include "shoal/base/arena.h"
#include "shoal/base/str.h"

struct signer; /* whoever has the private key */

/* hex: 64 digits. NULL: they are no public key. */
struct signer *signer_new(const char *hex);
void signer_free(struct signer *s); /* NULL does nothing */

/* Whether both headers look as they must, so that it is worth reading what they sign. NULL: not sent. */
bool signature_formed(const char *signature, const char *timestamp);
/* False also where they are not well formed. */
bool signature_good(const struct signer *s, const char *signature, const char *timestamp, struct span body,
                    struct arena *a);

#endif
