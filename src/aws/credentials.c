/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain: environment, shared files, container. The first that has keys is the one; what the others lacked is kept, so
 * that the error can tell all that was tried. Files are read again with every refresh: another tool may have renewed them.
 */
#include "aws/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_internal.h"
#include "aws/settings.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

enum { MAX_TRIED_BYTES = 4096 };
#define EARLY_MS (5ULL * 60 * 1000) /* a large upload may take a while to be sent */
#define PAUSE_NS (30 * FW_NS_PER_S)     /* between refreshes while keys are still good */

void fw_aws_credentials_tried(struct fw_aws_credentials *credentials, const char *format, ...)
{
	va_list arguments;

	if (credentials->tried.length > 0)
		fw_buffer_text(&credentials->tried, "; ");
	va_start(arguments, format);
	fw_buffer_vprintf(&credentials->tried, format, arguments);
	va_end(arguments);
}

void fw_aws_credentials_keep(struct fw_aws_credentials *credentials, struct fw_aws_key_set *keys)
{
	fw_aws_key_set_done(&credentials->keys);
	credentials->keys = *keys;
	credentials->generation++;
	*keys = (struct fw_aws_key_set){0};
}

static void keep_lasting(struct fw_aws_credentials *credentials, const char *access_key, const char *secret_key,
                         const char *session_token)
{
	struct fw_aws_key_set keys = {fw_strdup(access_key), fw_strdup(secret_key), fw_strdup(session_token), 0};

	fw_aws_credentials_keep(credentials, &keys);
}

void fw_aws_key_set_done(struct fw_aws_key_set *keys)
{
	free(keys->access_key);
	fw_aws_free_secret(keys->secret_key);
	fw_aws_free_secret(keys->session_token);
	*keys = (struct fw_aws_key_set){0};
}

static bool try_environment(struct fw_aws_credentials *credentials)
{
	const char *access_key = fw_aws_setting("AWS_ACCESS_KEY_ID");
	const char *secret_key = fw_aws_setting("AWS_SECRET_ACCESS_KEY");

	if (credentials->profile_is_given) {
		fw_aws_credentials_tried(credentials, "the environment is passed over, because a profile is named");
		return false;
	}
	if (access_key && secret_key) {
		keep_lasting(credentials, access_key, secret_key, fw_aws_setting("AWS_SESSION_TOKEN"));
		return true;
	}
	fw_aws_credentials_tried(credentials, "environment: %s not set",
	                         access_key    ? "AWS_SECRET_ACCESS_KEY is"
	                         : secret_key ? "AWS_ACCESS_KEY_ID is"
	                                      : "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are");
	return false;
}

/* The path that the environment names, else the one below the home directory; NULL without one. */
static char *file_path(const char *variable, const char *below_home)
{
	const char *named = fw_aws_setting(variable), *home = fw_aws_setting("HOME");

	if (named)
		return fw_aws_path(named);
	return home ? fw_printf("%s/%s", home, below_home) : NULL;
}

static int read_file(struct fw_aws_credentials *credentials, struct fw_aws_profile *profile, const char *variable,
                     const char *below_home, bool is_config, struct fw_error **err)
{
	fw_cleanup_free char *path = file_path(variable, below_home);
	__attribute__((cleanup(fw_aws_wipe))) struct fw_buffer text;
	fw_cleanup_error struct fw_error *cause = NULL;
	int rc;

	fw_buffer_init(&text, FW_AWS_MAX_FILE_BYTES);
	if (!path)
		return FW_OK;
	rc = fw_read_file(AT_FDCWD, path, &text, &cause);
	if (rc == FW_E_ABSENT) {
		fw_aws_credentials_tried(credentials, "%s: no such file", path);
		return FW_OK;
	}
	if (rc != FW_OK)
		return fw_fail(err, rc, "read AWS settings: %s", fw_error_message(cause));
	rc = fw_aws_profile_read(profile, path, text.data, text.length, credentials->profile_name, is_config, err);
	return rc == FW_OK ? rc : fw_error_wrap(err, rc, "read AWS settings");
}

/* The keys of the environment are whole, and nobody names a profile: then nothing of the files is needed. */
static bool can_do_without_files(const struct fw_aws_credentials *credentials)
{
	return !credentials->profile_is_given && !fw_aws_setting("AWS_PROFILE") && fw_aws_setting("AWS_ACCESS_KEY_ID") &&
	       fw_aws_setting("AWS_SECRET_ACCESS_KEY");
}

static int read_profile(struct fw_aws_credentials *credentials, struct fw_error **err)
{
	struct fw_aws_profile profile = {0};
	int rc = read_file(credentials, &profile, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", false, err);

	if (rc == FW_OK)
		rc = read_file(credentials, &profile, "AWS_CONFIG_FILE", ".aws/config", true, err);
	if (rc != FW_OK && can_do_without_files(credentials)) {
		if (!credentials->warned)
			fw_warning("%s; the keys of the environment are used without those settings", fw_error_message(*err));
		credentials->warned = true;
		fw_aws_profile_done(&profile);
		fw_error_free(FW_TAKE(*err));
		rc = FW_OK;
	}
	if (rc != FW_OK) {
		fw_aws_profile_done(&profile);
		return rc;
	}
	fw_aws_profile_done(&credentials->profile);
	credentials->profile = profile;
	return FW_OK;
}

static bool try_profile(struct fw_aws_credentials *credentials)
{
	const struct fw_aws_profile *profile = &credentials->profile;

	if (profile->access_key && profile->secret_key && !profile->role) {
		keep_lasting(credentials, profile->access_key, profile->secret_key, profile->session_token);
		return true;
	}
	if (!profile->found)
		fw_aws_credentials_tried(credentials, "shared files: no profile '%s'", credentials->profile_name);
	else if (profile->role || profile->needs)
		fw_aws_credentials_tried(credentials, "profile '%s' asks for '%s', which flexwatt does not follow",
		                         credentials->profile_name, profile->role ? profile->role : profile->needs);
	else
		fw_aws_credentials_tried(credentials, "profile '%s': no %s", credentials->profile_name,
		                         profile->access_key ? "aws_secret_access_key" : "aws_access_key_id");
	return false;
}

int fw_aws_credentials_new(struct fw_loop *loop, const char *profile, struct fw_aws_credentials **credentials,
                           struct fw_error **err)
{
	struct fw_aws_credentials *made = fw_alloc(sizeof *made);
	const char *named = fw_aws_setting("AWS_PROFILE");
	int rc;

	made->loop = loop;
	made->profile_is_given = profile != NULL;
	made->profile_name = fw_strdup(profile ? profile : named ? named : "default");
	fw_buffer_init(&made->tried, MAX_TRIED_BYTES);
	fw_buffer_init(&made->answer, 0);
	rc = read_profile(made, err);
	if (rc != FW_OK) {
		fw_aws_credentials_free(made);
		return rc;
	}
	*credentials = made;
	return FW_OK;
}

void fw_aws_credentials_free(struct fw_aws_credentials *credentials)
{
	if (!credentials)
		return;
	fw_aws_container_end(credentials);
	fw_aws_key_set_done(&credentials->keys);
	fw_aws_profile_done(&credentials->profile);
	fw_buffer_done(&credentials->tried);
	free(credentials->profile_name);
	free(credentials);
}

const struct fw_aws_profile *fw_aws_credentials_profile(const struct fw_aws_credentials *credentials)
{
	return &credentials->profile;
}

static uint64_t now_ms(const struct fw_aws_credentials *credentials)
{
	return (uint64_t)((int64_t)fw_wall_ms() + credentials->clock_offset_ms);
}

void fw_aws_credentials_set_clock(struct fw_aws_credentials *credentials, int64_t offset_ms)
{
	credentials->clock_offset_ms = offset_ms;
}

bool fw_aws_key_set_is_over(const struct fw_aws_credentials *credentials, const struct fw_aws_key_set *keys)
{
	return keys->expires_ms > 0 && keys->expires_ms <= now_ms(credentials);
}

static bool good_for(const struct fw_aws_credentials *credentials, uint64_t ms)
{
	const struct fw_aws_key_set *keys = &credentials->keys;

	return keys->access_key && (keys->expires_ms == 0 || now_ms(credentials) + ms < keys->expires_ms);
}

bool fw_aws_credentials_keys(const struct fw_aws_credentials *credentials, struct fw_aws_keys *keys)
{
	if (!good_for(credentials, 0))
		return false;
	*keys = (struct fw_aws_keys){credentials->keys.access_key, credentials->keys.secret_key,
	                             credentials->keys.session_token, credentials->generation};
	return true;
}

bool fw_aws_credentials_due(const struct fw_aws_credentials *credentials)
{
	if (credentials->done)
		return false;
	if (!good_for(credentials, 0))
		return true;
	return !good_for(credentials, EARLY_MS) && fw_monotonic_ns() >= credentials->not_before_ns;
}

void fw_aws_credentials_expire(struct fw_aws_credentials *credentials, unsigned generation)
{
	if (generation == credentials->generation)
		fw_aws_key_set_done(&credentials->keys);
}

void fw_aws_credentials_finish(struct fw_aws_credentials *credentials, int rc, const struct fw_error *err)
{
	fw_aws_refreshed_fn *done = FW_TAKE(credentials->done);

	credentials->not_before_ns = fw_monotonic_ns() + PAUSE_NS;
	if (done)
		done(credentials->context, rc, err);
}

void fw_aws_credentials_none(struct fw_aws_credentials *credentials)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_PERMISSION, "find AWS credentials: none (%s)", credentials->tried.data);

	fw_error_hint(&error, rc,
	              "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into ~/.aws/credentials, or name "
	              "another profile; `aws configure export-credentials --format env` prints those of sign-ons and roles");
	fw_aws_credentials_finish(credentials, rc, error);
}

void fw_aws_credentials_refresh(struct fw_aws_credentials *credentials, fw_aws_refreshed_fn *done, void *context)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc;

	credentials->done = done;
	credentials->context = context;
	fw_buffer_clear(&credentials->tried);
	rc = read_profile(credentials, &error);
	if (rc != FW_OK)
		fw_aws_credentials_finish(credentials, rc, error);
	else if (try_environment(credentials) || try_profile(credentials))
		fw_aws_credentials_finish(credentials, FW_OK, NULL);
	else if (!fw_aws_container_begin(credentials))
		fw_aws_credentials_none(credentials);
}
