/* SPDX-License-Identifier: Apache-2.0
 *
 * The proxy that libcurl takes from the environment: which variable names it. People forget what they once set there.
 */
#pragma once

/* "http_proxy", "HTTPS_PROXY", ...; NULL when the URL's server is asked itself. Networks in no_proxy (10.0.0.0/8) are not
 * known here. */
const char *fw_http_proxy_variable(const char *url);
