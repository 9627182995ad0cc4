/* SPDX-License-Identifier: Apache-2.0
 *
 * What the members of the chain of credentials share.
 */
#pragma once

#include "aws/credentials.h"
#include "base/buffer.h"
#include "http/client.h"

struct fw_aws_key_set {
	char *access_key, *secret_key, *session_token;
	uint64_t expires_ms; /* wall clock; 0: never */
};
void fw_aws_key_set_done(struct fw_aws_key_set *keys);
bool fw_aws_key_set_is_over(const struct fw_aws_credentials *credentials, const struct fw_aws_key_set *keys);

struct fw_aws_credentials {
	struct fw_loop *loop;
	char *profile_name;
	bool warned;
	bool profile_is_given; /* by the caller, not by the environment */
	struct fw_aws_profile profile;
	struct fw_aws_key_set keys;
	unsigned generation;
	uint64_t not_before_ns; /* monotonic; of the next refresh while keys are still good */
	int64_t clock_offset_ms;
	struct fw_buffer tried; /* for the error, "a; b; c" */
	fw_aws_refreshed_fn *done; /* NULL: no refresh under way */
	void *context;
	/* of the container's endpoint */
	struct fw_http_client *http;
	struct fw_http_call *call;
	struct fw_timer *timer;
	struct fw_buffer answer;
	char *url;
	unsigned attempts;
};

/* One more thing that had no keys, and why. */
void fw_aws_credentials_tried(struct fw_aws_credentials *credentials, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Takes the keys over. */
void fw_aws_credentials_keep(struct fw_aws_credentials *credentials, struct fw_aws_key_set *keys);
void fw_aws_credentials_finish(struct fw_aws_credentials *credentials, int rc, const struct fw_error *err);
/* The end of the chain: fails with all that was tried. */
void fw_aws_credentials_none(struct fw_aws_credentials *credentials);

/* Asks the container's endpoint, if there is one; then it ends the refresh. False: nothing to ask (said in `tried`). */
bool fw_aws_container_begin(struct fw_aws_credentials *credentials);
void fw_aws_container_end(struct fw_aws_credentials *credentials);
/* https, or an address of this machine. */
bool fw_aws_container_may_ask(const char *url);
int fw_aws_container_read(const char *text, size_t length, struct fw_aws_key_set *keys, struct fw_error **err);
