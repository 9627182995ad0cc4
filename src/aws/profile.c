/* SPDX-License-Identifier: Apache-2.0
 *
 * Sections and settings. Unknown settings are other tools' business. A value may hold anything but a newline; it is cut
 * at " #" and " ;" as AWS's tools cut it. Settings below "s3 =" are read by their indentation.
 */
#include "aws/profile.h"

#include <stdlib.h>
#include <string.h>

#include "aws/settings.h"
#include "base/memory.h"
#include "base/str.h"

struct reader {
	struct fw_aws_profile *profile;
	const char *source, *name;
	bool is_config;
	bool wanted;  /* the section is the profile's */
	bool in_s3;   /* the setting above is "s3" */
	size_t line;
};

void fw_aws_profile_done(struct fw_aws_profile *profile)
{
	free(profile->access_key);
	fw_aws_free_secret(profile->secret_key);
	fw_aws_free_secret(profile->session_token);
	free(profile->role);
	free(profile->region);
	free(profile->endpoint_url);
	free(profile->addressing_style);
	free(profile->needs);
	*profile = (struct fw_aws_profile){0};
}

static void set_once(char **target, struct fw_str value)
{
	if (!*target && value.length > 0)
		*target = fw_strndup(value.text, value.length);
}

static int refuse(const struct reader *reader, struct fw_str line, struct fw_error **err)
{
	int rc = fw_fail(err, FW_E_INVALID, "neither a section '[name]' nor a setting 'name = value'");

	/* A line that is shown could be half a key. */
	(void)line;
	return fw_error_at(err, rc, reader->source, reader->line, 1, NULL, 0);
}

static int read_section(struct reader *reader, struct fw_str line, struct fw_error **err)
{
	const char *end = memchr(line.text, ']', line.length);
	struct fw_str word, rest;

	reader->wanted = reader->in_s3 = false;
	if (!end)
		return refuse(reader, line, err);
	rest = fw_str_trim((struct fw_str){line.text + 1, (size_t)(end - line.text) - 1});
	if (!reader->is_config || fw_str_is(rest, "default")) {
		reader->wanted = fw_str_is(rest, reader->name);
	} else if (fw_str_next_word(&rest, &word) && fw_str_is(word, "profile")) {
		rest = fw_str_trim(rest);
		if (rest.length >= 2 && (*rest.text == '"' || *rest.text == '\'') && rest.text[rest.length - 1] == *rest.text)
			rest = (struct fw_str){rest.text + 1, rest.length - 2};
		reader->wanted = fw_str_is(rest, reader->name);
	}
	reader->profile->found |= reader->wanted;
	return FW_OK;
}

static struct fw_str without_comment(struct fw_str value)
{
	for (size_t i = 1; i < value.length; i++)
		if ((value.text[i] == '#' || value.text[i] == ';') && (value.text[i - 1] == ' ' || value.text[i - 1] == '\t'))
			return fw_str_trim((struct fw_str){value.text, i});
	return value;
}

static void keep_setting(struct fw_aws_profile *profile, struct fw_str name, struct fw_str value)
{
	/* AWS's tools take these before keys that stand beside them, that one behind them. */
	static const char *const before_keys[] = {"role_arn", "sso_session", "sso_start_url", "web_identity_token_file"};
	const struct {
		const char *name;
		char **target;
	} settings[] = {
		{"aws_access_key_id", &profile->access_key},
		{"aws_secret_access_key", &profile->secret_key},
		{"aws_session_token", &profile->session_token},
		{"region", &profile->region},
		{"endpoint_url", &profile->endpoint_url},
	};

	for (size_t i = 0; i < FW_COUNT_OF(settings); i++)
		if (fw_str_is(name, settings[i].name))
			set_once(settings[i].target, value);
	for (size_t i = 0; i < FW_COUNT_OF(before_keys); i++)
		if (fw_str_is(name, before_keys[i]))
			set_once(&profile->role, name);
	if (fw_str_is(name, "credential_process"))
		set_once(&profile->needs, name);
}

static int read_setting(struct reader *reader, struct fw_str line, bool indented, struct fw_error **err)
{
	const char *equals = memchr(line.text, '=', line.length);
	struct fw_str name, value;

	if (!equals)
		return indented ? FW_OK : refuse(reader, line, err);
	name = fw_str_trim((struct fw_str){line.text, (size_t)(equals - line.text)});
	value = without_comment(fw_str_trim((struct fw_str){equals + 1, line.length - (size_t)(equals - line.text) - 1}));
	if (!indented)
		reader->in_s3 = fw_str_is(name, "s3");
	if (!reader->wanted)
		return FW_OK;
	if (!indented)
		keep_setting(reader->profile, name, value);
	else if (reader->in_s3 && fw_str_is(name, "addressing_style"))
		set_once(&reader->profile->addressing_style, value);
	return FW_OK;
}

int fw_aws_profile_read(struct fw_aws_profile *profile, const char *source, const char *text, size_t length,
                        const char *name, bool is_config, struct fw_error **err)
{
	struct reader reader = {.profile = profile, .source = source, .name = name, .is_config = is_config};
	struct fw_str rest = {text, length}, line;
	int rc = FW_OK;

	if (length > 0 && memchr(text, '\0', length))
		return fw_fail(err, FW_E_INVALID, "%s is no text: there is a NUL in it", source);
	while (rc == FW_OK && fw_str_next_line(&rest, &line)) {
		bool indented = line.length > 0 && (*line.text == ' ' || *line.text == '\t');

		reader.line++;
		line = fw_str_trim(line);
		if (line.length == 0 || *line.text == '#' || *line.text == ';')
			continue;
		if (*line.text == '[')
			rc = read_section(&reader, line, err);
		else
			rc = read_setting(&reader, line, indented, err);
	}
	return rc;
}
