#include "shoal/io/redis_script.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "shoal/base/embed.h"

void redis_script_prepare(struct redis_script *s)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	if (s->sha[0])
		return;
	if (!s->text.ptr) {
		const struct embed_file *f = embed_find(s->name);
		if (!f)
			BUG("no script %s in the program", s->name);
		s->text = (struct span){f->data, f->len};
	}
	ENSURE(EVP_Digest(s->text.ptr, s->text.len, digest, &len, EVP_sha1(), NULL) == 1 && len == 20);
	for (unsigned i = 0; i < len; i++)
		snprintf(s->sha + 2 * i, 3, "%02x", digest[i]);
}
