/* What a CURLcode says about the request: whether it may have been done. */
#include "shoal/io/http_classify.h"

#include <stddef.h>

static const struct {
	CURLcode code;
	struct http_failure unsent, sent;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_PROXY, {ERR_UNREACHABLE, "resolve"}, {ERR_UNREACHABLE, "resolve"}},
    {CURLE_COULDNT_RESOLVE_HOST, {ERR_UNREACHABLE, "resolve"}, {ERR_UNREACHABLE, "resolve"}},
    {CURLE_COULDNT_CONNECT, {ERR_UNREACHABLE, "connect"}, {ERR_UNREACHABLE, "connect"}},
    {CURLE_PROXY, {ERR_UNREACHABLE, "connect"}, {ERR_UNREACHABLE, "connect"}},
    {CURLE_SSL_CONNECT_ERROR, {ERR_UNREACHABLE, "tls"}, {ERR_UNKNOWN, "tls"}},
    {CURLE_PEER_FAILED_VERIFICATION, {ERR_UNREACHABLE, "tls"}, {ERR_UNKNOWN, "tls"}},
    {CURLE_SSL_CACERT_BADFILE, {ERR_UNREACHABLE, "tls"}, {ERR_UNKNOWN, "tls"}},
    {CURLE_OPERATION_TIMEDOUT, {ERR_UNREACHABLE, "connect_timeout"}, {ERR_TIMEOUT, "timeout"}},
    {CURLE_WEIRD_SERVER_REPLY, {ERR_UNREACHABLE, "protocol"}, {ERR_UNKNOWN, "protocol"}},
    {CURLE_URL_MALFORMAT, {ERR_INVALID, "url"}, {ERR_INVALID, "url"}},
    {CURLE_UNSUPPORTED_PROTOCOL, {ERR_INVALID, "url"}, {ERR_UNKNOWN, "protocol"}},
    {CURLE_FAILED_INIT, {ERR_INTERNAL, "internal"}, {ERR_UNKNOWN, "internal"}},
};

struct http_failure http_classify(CURLcode code, bool sent)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].code == code)
			return sent ? failures[i].sent : failures[i].unsent;
	}
	return sent ? (struct http_failure){ERR_UNKNOWN, "lost"} : (struct http_failure){ERR_UNREACHABLE, "connect"};
}
