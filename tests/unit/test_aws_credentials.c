/* SPDX-License-Identifier: Apache-2.0
 *
 * The chain: environment, shared files, container. The container's endpoint is our own server on the same loop.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "aws/credentials.h"
#include "aws/credentials_internal.h"
#include "aws/settings.h"
#include "base/loop.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/server.h"
#include "tests/unit/support.h"

static const char *const variables[] = {
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE",
	"AWS_CONFIG_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
};

static void clear_environment(const char *home)
{
	for (size_t i = 0; i < FW_COUNT_OF(variables); i++)
		unsetenv(variables[i]);
	setenv("HOME", home, 1);
}

struct world {
	struct fw_loop *loop;
	struct fw_aws_credentials *credentials;
	struct fw_timer *deadline;
	int rc;
	bool over;
	char *message, *hint;
};

static void too_late(void *context)
{
	(void)context;
	fail_msg("the refresh did not end in ten seconds");
}

static void refreshed(void *context, int rc, const struct fw_error *err)
{
	struct world *world = context;

	world->rc = rc;
	world->over = true;
	world->message = fw_strdup(rc == FW_OK ? NULL : fw_error_message(err));
	world->hint = fw_strdup(rc == FW_OK ? NULL : fw_error_hint_text(err));
	fw_loop_stop(world->loop);
}

static void refresh(struct world *world)
{
	fw_cleanup_error struct fw_error *error = NULL;

	world->over = false;
	free(FW_TAKE(world->message));
	free(FW_TAKE(world->hint));
	fw_timer_set(world->deadline, 100 * FW_NS_PER_S);
	fw_aws_credentials_refresh(world->credentials, refreshed, world);
	assert_ok(fw_loop_run(world->loop, &error), error);
	assert_true(world->over);
}

static void world_init(struct world *world, const char *profile)
{
	fw_cleanup_error struct fw_error *error = NULL;

	*world = (struct world){0};
	assert_ok(fw_loop_new(&world->loop, &error), error);
	assert_ok(fw_aws_credentials_new(world->loop, profile, &world->credentials, &error), error);
	world->deadline = fw_timer_new(world->loop, too_late, NULL);
}

static void world_done(struct world *world)
{
	fw_aws_credentials_free(world->credentials);
	fw_timer_free(world->deadline);
	fw_loop_free(world->loop);
	free(world->message);
	free(world->hint);
}

static void assert_keys(const struct world *world, const char *access_key, const char *secret_key, const char *token)
{
	struct fw_aws_keys keys;

	assert_true(fw_aws_credentials_keys(world->credentials, &keys));
	assert_string_equal(keys.access_key, access_key);
	assert_string_equal(keys.secret_key, secret_key);
	if (token)
		assert_string_equal(keys.session_token, token);
	else
		assert_null(keys.session_token);
}

static void keys_of_the_environment_come_first(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of(".aws/credentials", "[default]\naws_access_key_id = file\naws_secret_access_key = secret\n", NULL);
	struct world world;

	(void)state;
	clear_environment(tree.path);
	setenv("AWS_ACCESS_KEY_ID", "env", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
	setenv("AWS_SESSION_TOKEN", "session", 1);
	world_init(&world, NULL);
	refresh(&world);
	assert_keys(&world, "env", "hidden", "session");
	world_done(&world);
}

static void a_profile_that_is_named_is_not_overridden_by_the_environment(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		".aws/credentials", "[default]\naws_access_key_id=a\naws_secret_access_key=b\n\n[lab]\naws_access_key_id = lab\n",
		".aws/config",
		"# lab\n[profile lab]\naws_secret_access_key = se=cret ; one\nregion = eu-central-1 # near\ns3 =\n"
		"  addressing_style = path\n[profile other]\nregion = us-west-2\n",
		NULL);
	struct world world;

	(void)state;
	clear_environment(tree.path);
	setenv("AWS_ACCESS_KEY_ID", "env", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "hidden", 1);
	world_init(&world, "lab");
	refresh(&world);
	assert_keys(&world, "lab", "se=cret", NULL);
	assert_string_equal(fw_aws_credentials_profile(world.credentials)->region, "eu-central-1");
	assert_string_equal(fw_aws_credentials_profile(world.credentials)->addressing_style, "path");
	world_done(&world);
}

static void the_error_tells_all_that_was_tried_and_what_to_do(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(".aws/config", "[default]\nsso_session = corp\n", NULL);
	struct world world;

	(void)state;
	clear_environment(tree.path);
	setenv("AWS_ACCESS_KEY_ID", "half", 1);
	world_init(&world, NULL);
	refresh(&world);
	assert_int_equal(world.rc, FW_E_PERMISSION);
	assert_non_null(strstr(world.message, ".aws/credentials: no such file"));
	assert_non_null(strstr(world.message, "environment: AWS_SECRET_ACCESS_KEY is not set"));
	assert_non_null(strstr(world.message, "profile 'default' asks for 'sso_session', which flexwatt does not follow"));
	assert_non_null(strstr(world.message, "container: no AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"));
	assert_non_null(strstr(world.hint, "aws configure export-credentials"));
	world_done(&world);
}

static void a_broken_file_is_named_with_its_line_and_without_its_text(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of(".aws/credentials", "[default]\naws_secret_access_key: verysecret\n", NULL);
	fw_cleanup_error struct fw_error *error = NULL;
	fw_cleanup_free char *text = NULL;
	struct fw_loop *loop = NULL;
	struct fw_aws_credentials *credentials = NULL;

	(void)state;
	clear_environment(tree.path);
	assert_ok(fw_loop_new(&loop, &error), error);
	assert_int_equal(fw_aws_credentials_new(loop, NULL, &credentials, &error), FW_E_INVALID);
	text = fw_error_describe(error);
	assert_non_null(strstr(text, ".aws/credentials:2"));
	assert_null(strstr(text, "verysecret"));
	fw_loop_free(loop);
}

static void expire(const struct world *world)
{
	struct fw_aws_keys keys;

	assert_true(fw_aws_credentials_keys(world->credentials, &keys));
	fw_aws_credentials_expire(world->credentials, keys.generation - 1); /* of keys that are gone: nothing */
	assert_true(fw_aws_credentials_keys(world->credentials, &keys));
	fw_aws_credentials_expire(world->credentials, keys.generation);
	assert_false(fw_aws_credentials_keys(world->credentials, &keys));
}

static void keys_of_the_environment_do_not_need_files_that_can_be_read(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(".aws/config", "[default]\nregion = eu-west-1\nno setting\n", NULL);
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_aws_credentials *refused = NULL;
	struct world world;

	(void)state;
	clear_environment(tree.path);
	setenv("AWS_ACCESS_KEY_ID", "env", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	world_init(&world, NULL);
	refresh(&world);
	assert_keys(&world, "env", "secret", NULL);
	assert_null(fw_aws_credentials_profile(world.credentials)->region);
	setenv("AWS_PROFILE", "default", 1); /* who names a profile wants what it says */
	assert_int_equal(fw_aws_credentials_new(world.loop, NULL, &refused, &error), FW_E_INVALID);
	world_done(&world);
}

static void keys_beside_a_role_are_not_taken_for_the_role(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of(".aws/credentials",
	            "[default]\nrole_arn = arn:aws:iam::1:role/r\naws_access_key_id = a\naws_secret_access_key = b\n"
	            "[process]\ncredential_process = x\naws_access_key_id = a\naws_secret_access_key = b\n",
	            NULL);
	struct world world;

	(void)state;
	clear_environment(tree.path);
	world_init(&world, NULL);
	refresh(&world);
	assert_int_equal(world.rc, FW_E_PERMISSION);
	assert_non_null(strstr(world.message, "profile 'default' asks for 'role_arn', which flexwatt does not follow"));
	world_done(&world);
	world_init(&world, "process"); /* AWS's tools take these keys, too */
	refresh(&world);
	assert_keys(&world, "a", "b", NULL);
	world_done(&world);
}

static void a_path_may_begin_at_home(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("keys", "[default]\naws_access_key_id = a\naws_secret_access_key = b\n", NULL);
	struct world world;

	(void)state;
	clear_environment(tree.path);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/keys", 1);
	world_init(&world, NULL);
	refresh(&world);
	assert_keys(&world, "a", "b", NULL);
	world_done(&world);
}

static void only_addresses_and_names_of_this_machine_are_this_machine(void **state)
{
	static const char *const here[] = {"127.0.0.1", "127.0.0.1:9000/x", "127.1.2.3", "localhost", "localhost:80", "[::1]:9000"};
	static const char *const elsewhere[] = {"127.evil.org", "127.0.0.1.evil.org", "localhost.evil.org", "[::2]", "[::1", "[::1]evil.org",
	                                        "10.0.0.1", "127", ""};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(here); i++)
		if (!fw_aws_is_loopback(here[i], fw_aws_host_length(here[i])))
			fail_msg("%s is this machine", here[i]);
	for (size_t i = 0; i < FW_COUNT_OF(elsewhere); i++)
		if (fw_aws_is_loopback(elsewhere[i], fw_aws_host_length(elsewhere[i])))
			fail_msg("%s is another machine", elsewhere[i]);
}

/* The container's endpoint. */
struct endpoint {
	struct fw_http_server *server;
	char url[64], expires[25];
	unsigned asked, failures; /* that many are answered 503 first */
	const char *token; /* that must come */
};

static void serve(void *context, struct fw_http_request *request)
{
	struct endpoint *endpoint = context;
	const char *token = fw_http_header(request, "authorization");
	fw_cleanup_free char *body = NULL;
	int status = 200;

	endpoint->asked++;
	if (endpoint->asked <= endpoint->failures)
		status = 503;
	else if (endpoint->token && (!token || strcmp(token, endpoint->token) != 0))
		status = 401;
	body = fw_printf("{\"AccessKeyId\": \"id%u\", \"SecretAccessKey\": \"s\", \"Token\": \"t\", \"Expiration\": \"%s\", "
	                 "\"RoleArn\": \"x\"}",
	                 endpoint->asked, endpoint->expires);
	fw_http_reply(request, status, NULL, 0, "application/json", body, strlen(body));
}

static void endpoint_init(struct endpoint *endpoint, struct fw_loop *loop, uint64_t lives_ms)
{
	static const struct fw_http_service service = {.request = serve};
	static const struct fw_http_limits limits = {8192, 8192, 8, 5 * FW_NS_PER_S};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	fw_cleanup_error struct fw_error *error = NULL;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	*endpoint = (struct endpoint){0};
	snprintf(endpoint->url, sizeof endpoint->url, "http://127.0.0.1:%u/keys", ntohs(address.sin_port));
	fw_time_iso(fw_wall_ms() + lives_ms, endpoint->expires);
	assert_ok(fw_http_server_new(loop, fd, &limits, &service, endpoint, &endpoint->server, &error), error);
}

static void a_container_is_asked_with_its_token_and_again_before_the_keys_end(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("token", "Bearer 12\n", NULL);
	fw_cleanup_free char *token = fw_printf("%s/token", tree.path);
	struct world world;
	struct endpoint endpoint;

	(void)state;
	clear_environment(tree.path);
	world_init(&world, NULL);
	endpoint_init(&endpoint, world.loop, 3600 * 1000);
	endpoint.token = "Bearer 12";
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url, 1);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", token, 1);
	assert_true(fw_aws_credentials_due(world.credentials));
	refresh(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_keys(&world, "id1", "s", "t");
	assert_false(fw_aws_credentials_due(world.credentials));
	fw_time_iso(fw_wall_ms() + 60 * 1000, endpoint.expires); /* a minute left: good, but to be renewed */
	expire(&world);
	assert_true(fw_aws_credentials_due(world.credentials));
	refresh(&world);
	assert_keys(&world, "id2", "s", "t");
	assert_false(fw_aws_credentials_due(world.credentials)); /* not at once again: they are good */
	fw_http_server_free(endpoint.server);
	world_done(&world);
}

static void keys_that_are_over_when_they_come_are_refused(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("empty/", "", NULL);
	struct world world;
	struct endpoint endpoint;

	(void)state;
	clear_environment(tree.path);
	world_init(&world, NULL);
	endpoint_init(&endpoint, world.loop, 0);
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url, 1);
	refresh(&world);
	assert_int_equal(world.rc, FW_E_PERMISSION);
	assert_non_null(strstr(world.message, "/keys gives keys that ended at "));
	assert_int_equal(endpoint.asked, 3);
	fw_aws_credentials_set_clock(world.credentials, -60 * 1000); /* it is this machine's clock that is ahead */
	refresh(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(endpoint.asked, 4);
	fw_http_server_free(endpoint.server);
	world_done(&world);
}

static void a_container_that_stumbles_is_asked_again(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("empty/", "", NULL);
	struct world world;
	struct endpoint endpoint;

	(void)state;
	clear_environment(tree.path);
	world_init(&world, NULL);
	endpoint_init(&endpoint, world.loop, 3600 * 1000);
	endpoint.failures = 2;
	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint.url, 1);
	refresh(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(endpoint.asked, 3);
	endpoint.failures = 100;
	expire(&world);
	refresh(&world);
	assert_int_equal(world.rc, FW_E_PERMISSION);
	assert_non_null(strstr(world.message, "/keys answers 503"));
	assert_int_equal(endpoint.asked, 6);
	fw_http_server_free(endpoint.server);
	world_done(&world);
}

static void without_tls_only_this_machine_is_asked(void **state)
{
	static const char *const refused[] = {"http://example.org/", "http://10.0.0.1/", "http://127.0.0.1@evil/", "ftp://127.0.0.1/",
	                                      "http://127.evil.org/", "http://169.254.170.20/", "//", "https://"};
	static const char *const asked[] = {"https://example.org/x", "http://127.0.0.1:80/x", "http://localhost", "http://169.254.170.2/v2",
	                                    "http://169.254.170.23/v1", "http://[fd00:ec2::23]/v1", "http://[::1]:99/"};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(refused); i++)
		if (fw_aws_container_may_ask(refused[i]))
			fail_msg("%s would be asked", refused[i]);
	for (size_t i = 0; i < FW_COUNT_OF(asked); i++)
		if (!fw_aws_container_may_ask(asked[i]))
			fail_msg("%s would not be asked", asked[i]);
}

static void an_answer_of_a_container_is_read_strictly(void **state)
{
	static const char *const broken[] = {
		"", "{}", "[]", "{\"AccessKeyId\": \"a\"}", "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": 1}",
		"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Expiration\": \"tomorrow\"}",
		"{\"AccessKeyId\": \"a\\nX: y\", \"SecretAccessKey\": \"b\"}",
		"{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Token\": \"t\\r\\n\"}",
	};
	static const char whole[] = "{\"AccessKeyId\": \"a\", \"SecretAccessKey\": \"b\", \"Expiration\": \"2015-08-30T12:36:00Z\"}";
	struct fw_aws_key_set keys = {0};
	fw_cleanup_error struct fw_error *error = NULL;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(broken); i++)
		if (fw_aws_container_read(broken[i], strlen(broken[i]), &keys, NULL) == FW_OK)
			fail_msg("%s was taken", broken[i]);
	assert_null(keys.access_key);
	assert_ok(fw_aws_container_read(whole, strlen(whole), &keys, &error), error);
	assert_int_equal(keys.expires_ms, 1440938160000);
	fw_aws_key_set_done(&keys);
}

FW_TESTS(keys_of_the_environment_come_first, a_profile_that_is_named_is_not_overridden_by_the_environment,
         the_error_tells_all_that_was_tried_and_what_to_do, a_broken_file_is_named_with_its_line_and_without_its_text,
         a_container_is_asked_with_its_token_and_again_before_the_keys_end, a_container_that_stumbles_is_asked_again,
         keys_that_are_over_when_they_come_are_refused,
         keys_of_the_environment_do_not_need_files_that_can_be_read, keys_beside_a_role_are_not_taken_for_the_role,
         a_path_may_begin_at_home, only_addresses_and_names_of_this_machine_are_this_machine, without_tls_only_this_machine_is_asked, an_answer_of_a_container_is_read_strictly)
