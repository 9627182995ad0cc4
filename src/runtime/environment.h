/* SPDX-License-Identifier: Apache-2.0
 *
 * The environment of a worker, as on AWS Lambda.
 */
#pragma once

#include "base/json.h"
#include "runtime/sandbox.h"

struct fw_environment {
	const char *name;      /* of the function */
	const char *handler;   /* or NULL */
	int64_t memory_mb;
	const char *region;
	const char *log_stream;
	struct fw_sandbox_address address;
	const char *command;     /* FLEXWATT_COMMAND, or NULL */
	const json_t *customer;  /* object of strings, or NULL */
};

/* NULL-terminated; free with fw_environment_free(). Customer variables may replace the unreserved ones only. */
char **fw_environment_build(const struct fw_environment *environment);
void fw_environment_free(char **envp);
