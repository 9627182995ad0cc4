/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared files of AWS's tools, ~/.aws/credentials and ~/.aws/config: sections with settings. Read without a library,
 * in the way those tools read them: '#' or ';' begin a comment line, indented lines belong to the setting above.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum { FW_AWS_MAX_FILE_BYTES = 1 << 20 };

struct fw_aws_profile { /* NULL: not set */
	bool found;
	char *access_key, *secret_key, *session_token;
	char *region, *endpoint_url, *addressing_style;
	/* Ways to credentials that are not built: "role_arn", "sso_session", ..., which keys beside them do not replace, and
	 * "credential_process". */
	char *role, *needs;
};
void fw_aws_profile_done(struct fw_aws_profile *profile);

/* Adds what the text says about profile `name`; what stands already is kept. `is_config`: sections are called
 * "profile NAME" there, but for "default". `source` names the text in errors. */
int fw_aws_profile_read(struct fw_aws_profile *profile, const char *source, const char *text, size_t length,
                        const char *name, bool is_config, struct fw_error **err);
