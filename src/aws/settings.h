/* SPDX-License-Identifier: Apache-2.0
 *
 * What this module's files ask of their surroundings alike: settings of the environment, which host of a URL is this machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* NULL when it is not set, or empty. */
const char *fw_aws_setting(const char *name);
/* From behind "://" to before a port or a path; an address of IPv6 with its brackets. */
size_t fw_aws_host_length(const char *host);
/* Nothing that is sent there crosses a network. */
bool fw_aws_is_loopback(const char *host, size_t length);
/* A path of a setting; "~/" is the home directory. NULL as NULL; newly allocated. */
char *fw_aws_path(const char *path);
/* 0 to 15; -1: none. */
int fw_aws_hex_digit(char character);
/* What memory of a secret is given back is empty: cores and swap outlive a process. */
void fw_aws_free_secret(char *text);
void fw_aws_wipe(struct fw_buffer *text); /* and done */
