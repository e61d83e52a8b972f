#include "shoal/io/redis_tls.h"

#ifdef SHOAL_REDIS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "shoal/base/err.h"

bool redis_tls_available(void)
{
	return true;
}

/* Made at first use, kept for the life of the process. Roots: the system's, or SSL_CERT_FILE and SSL_CERT_DIR. */
static SSL_CTX *tls_context(void)
{
	static SSL_CTX *ctx;
	if (!ctx) {
		ctx = SSL_CTX_new(TLS_client_method());
		ENSURE(ctx);
		SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		SSL_CTX_set_default_verify_paths(ctx);
	}
	return ctx;
}

/* Own SSL object: hiredis' own wrapper would not compare the certificate's name. */
bool redis_tls_start(redisContext *c, const char *host)
{
	SSL *ssl = SSL_new(tls_context());
	ENSURE(ssl);
	SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_set_tlsext_host_name(ssl, host);
	if (SSL_set1_host(ssl, host) != 1) {
		SSL_free(ssl);
		snprintf(c->errstr, sizeof(c->errstr), "no host name for TLS: %s", host);
		return false;
	}
	if (redisInitiateSSL(c, ssl) == REDIS_OK) /* the context owns ssl from here */
		return true;
	SSL_free(ssl);
	if (c->errstr[0] == '\0')
		snprintf(c->errstr, sizeof(c->errstr), "TLS handshake failed");
	return false;
}

#else

bool redis_tls_available(void)
{
	return false;
}

bool redis_tls_start(redisContext *c, const char *host)
{
	(void)c;
	(void)host;
	return false;
}

#endif
