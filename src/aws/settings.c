/* SPDX-License-Identifier: Apache-2.0
 *
 * See settings.h. A name is never looked up here: "127.example.org" is a name, and may be any machine.
 */
#include "aws/settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

const char *fw_aws_setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

size_t fw_aws_host_length(const char *host)
{
	size_t bracket = *host == '[' ? strcspn(host, "]/") : 0;

	if (bracket > 0 && host[bracket] == ']' && strchr(":/?#", host[bracket + 1]))
		return bracket + 1;
	return strcspn(host, ":/?#");
}

bool fw_aws_is_loopback(const char *host, size_t length)
{
	struct fw_str name = {host, length};

	if (fw_str_is(name, "localhost") || fw_str_is(name, "[::1]"))
		return true;
	return length > 4 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= length;
}

char *fw_aws_path(const char *path)
{
	const char *home = fw_aws_setting("HOME");

	return path && home && strncmp(path, "~/", 2) == 0 ? fw_printf("%s%s", home, path + 1) : fw_strdup(path);
}

void fw_aws_free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void fw_aws_wipe(struct fw_buffer *text)
{
	if (text->capacity > 0)
		explicit_bzero(text->data, text->capacity);
	fw_buffer_done(text);
}

int fw_aws_hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	character = (char)(character | 0x20);
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}
