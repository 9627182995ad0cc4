/* SPDX-License-Identifier: Apache-2.0
 *
 * See proxy.h. The order is libcurl's: HTTP_PROXY in capitals is never read, as a web server may have it from a request.
 */
#include "http/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/str.h"

static const char *first_set(const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return names[i];
	}
	return NULL;
}

static struct fw_str host_of(const char *url)
{
	const char *start = strstr(url, "://");
	struct fw_str host = {start ? start + 3 : url, 0};

	if (*host.text == '[') {
		host.text++;
		host.length = strcspn(host.text, "]/?");
	} else {
		host.length = strcspn(host.text, ":/?");
	}
	return host;
}

/* "example.org" and ".example.org" mean the host and all below it. */
static bool is_excepted(struct fw_str host, struct fw_str name)
{
	if (name.length > 0 && *name.text == '.')
		name = (struct fw_str){name.text + 1, name.length - 1};
	if (name.length == 0 || name.length > host.length ||
	    strncasecmp(host.text + host.length - name.length, name.text, name.length) != 0)
		return false;
	return name.length == host.length || host.text[host.length - name.length - 1] == '.';
}

static bool goes_around(struct fw_str host)
{
	static const char *const names[] = {"no_proxy", "NO_PROXY"};
	const char *name = first_set(names, FW_COUNT_OF(names)), *at = name ? getenv(name) : NULL;

	if (at && strcmp(at, "*") == 0)
		return true;
	while (at && *at) {
		size_t length = strcspn(at, ", ");

		if (is_excepted(host, (struct fw_str){at, length}))
			return true;
		at += length;
		at += strspn(at, ", ");
	}
	return false;
}

const char *fw_http_proxy_variable(const char *url)
{
	static const char *const plain[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
	static const char *const tls[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
	const char *name = strncasecmp(url, "https:", 6) == 0 ? first_set(tls, FW_COUNT_OF(tls)) : first_set(plain, FW_COUNT_OF(plain));

	return name && !goes_around(host_of(url)) ? name : NULL;
}
