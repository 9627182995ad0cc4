/* SPDX-License-Identifier: Apache-2.0 */
#include "http/proxy.h"

#include <stdlib.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static void clear(void)
{
	static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
	                                    "no_proxy", "NO_PROXY"};

	for (size_t i = 0; i < FW_COUNT_OF(names); i++)
		unsetenv(names[i]);
}

static void the_variable_is_that_of_the_scheme(void **state)
{
	(void)state;
	clear();
	assert_null(fw_http_proxy_variable("http://h:9000/b"));
	setenv("HTTP_PROXY", "http://p", 1); /* curl does not read it */
	assert_null(fw_http_proxy_variable("http://h:9000/b"));
	setenv("http_proxy", "http://p", 1);
	assert_string_equal(fw_http_proxy_variable("http://h:9000/b"), "http_proxy");
	assert_null(fw_http_proxy_variable("https://h/b"));
	setenv("ALL_PROXY", "http://p", 1);
	assert_string_equal(fw_http_proxy_variable("https://h/b"), "ALL_PROXY");
	setenv("HTTPS_PROXY", "http://p", 1);
	assert_string_equal(fw_http_proxy_variable("https://h/b"), "HTTPS_PROXY");
	setenv("https_proxy", "", 1);
	assert_string_equal(fw_http_proxy_variable("https://h/b"), "HTTPS_PROXY");
}

static void no_proxy_excepts_hosts_and_what_is_below_them(void **state)
{
	static const struct {
		const char *exceptions, *url;
		bool excepted;
	} cases[] = {{"*", "http://h/", true},
	             {"127.0.0.1", "http://127.0.0.1:9000/b", true},
	             {"a.org, example.org", "http://s3.example.org/b", true},
	             {".example.org", "http://EXAMPLE.ORG", true},
	             {"example.org", "http://badexample.org/", false},
	             {"::1", "http://[::1]:9000/", true},
	             {"9000,,", "http://h:9000/", false},
	             {"s3.example.org", "http://example.org/", false}};

	(void)state;
	clear();
	setenv("http_proxy", "http://p", 1);
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		setenv("no_proxy", cases[i].exceptions, 1);
		assert_int_equal(fw_http_proxy_variable(cases[i].url) == NULL, cases[i].excepted);
	}
	clear();
}

FW_TESTS(the_variable_is_that_of_the_scheme, no_proxy_excepts_hosts_and_what_is_below_them)
