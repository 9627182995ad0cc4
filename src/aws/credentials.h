/* SPDX-License-Identifier: Apache-2.0
 *
 * Who we are for AWS: keys from the environment, from the shared files, or from the endpoint that a container is given
 * (ECS, EKS), in this order; and the settings that stand beside them. Keys that end are fetched again before they do.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aws/profile.h"
#include "base/error.h"
#include "base/loop.h"

struct fw_aws_keys {
	const char *access_key, *secret_key;
	const char *session_token; /* or NULL */
	unsigned generation;       /* which set of keys: they change with a refresh */
};

struct fw_aws_credentials;

/* Reads environment and files now; a container's endpoint is asked by refresh(). A profile that is named here is not
 * overridden by keys of the environment. No keys are no error yet: refresh() has it. */
int fw_aws_credentials_new(struct fw_loop *loop, const char *profile, struct fw_aws_credentials **credentials,
                           struct fw_error **err);
/* A refresh under way ends without its callback. Not from inside it. */
void fw_aws_credentials_free(struct fw_aws_credentials *credentials);

/* Settings of the profile; owned by the credentials. */
const struct fw_aws_profile *fw_aws_credentials_profile(const struct fw_aws_credentials *credentials);

/* False when there are none that are good now. The texts hold until the next refresh ends. */
bool fw_aws_credentials_keys(const struct fw_aws_credentials *credentials, struct fw_aws_keys *keys);
/* True when refresh() should be called: no keys, or less than five minutes left; false while one is under way, and, as
 * long as there are keys, for half a minute after one. */
bool fw_aws_credentials_due(const struct fw_aws_credentials *credentials);
/* The server's clock less this machine's: keys end by that. */
void fw_aws_credentials_set_clock(struct fw_aws_credentials *credentials, int64_t offset_ms);
/* The server says that the keys of this generation have ended. Later ones are not touched. */
void fw_aws_credentials_expire(struct fw_aws_credentials *credentials, unsigned generation);

/* Reads or asks again; `done` is called once, later or at once. On failure err tells all that was tried. */
typedef void fw_aws_refreshed_fn(void *context, int rc, const struct fw_error *err);
void fw_aws_credentials_refresh(struct fw_aws_credentials *credentials, fw_aws_refreshed_fn *done, void *context);
