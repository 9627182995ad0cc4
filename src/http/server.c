/* SPDX-License-Identifier: Apache-2.0
 *
 * The server (server.h): accepts, up to a number of connections, and owns them.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/connection.h"

enum { ACCEPTS_A_TURN = 16 };
#define PAUSE_NS (100 * FW_NS_PER_MS)

/* False ends the turn. */
static bool accept_one(struct fw_http_server *server)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int on = 1;

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			fw_warning("accept: no descriptors left, resting");
			fw_watch_free(server->watch);
			server->watch = NULL;
			fw_timer_set(server->pause, PAUSE_NS);
		}
		return false;
	}
	if (server->count >= server->limits.connections ||
	    (server->service.accept && !server->service.accept(server->context, fd))) {
		close(fd);
		return true;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* not TCP in tests */
	fw_http_connection_new(server, fd);
	return true;
}

static void on_connection(void *context, int fd)
{
	(void)fd;
	for (int i = 0; i < ACCEPTS_A_TURN && accept_one(context); i++)
		continue;
}

static void watch_again(void *context)
{
	struct fw_http_server *server = context;

	server->watch = fw_watch_new(server->loop, server->fd, on_connection, server);
	if (!server->watch)
		fw_timer_set(server->pause, PAUSE_NS);
}

int fw_http_server_new(struct fw_loop *loop, int listening_fd, const struct fw_http_limits *limits,
                       const struct fw_http_service *service, void *context, struct fw_http_server **server,
                       struct fw_error **err)
{
	int flags = fcntl(listening_fd, F_GETFL);

	if (flags < 0 || fcntl(listening_fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return fw_fail_errno(err, errno, "listen on descriptor %d", listening_fd);
	struct fw_http_server *made = fw_alloc(sizeof *made);

	*made = (struct fw_http_server){
		.loop = loop, .fd = listening_fd, .limits = *limits, .service = *service, .context = context};
	made->pause = fw_timer_new(loop, watch_again, made);
	watch_again(made);
	*server = made;
	return FW_OK;
}

void fw_http_server_free(struct fw_http_server *server)
{
	if (!server)
		return;
	while (server->first)
		fw_http_connection_close(server->first);
	fw_watch_free(server->watch);
	fw_timer_free(server->pause);
	close(server->fd);
	free(server);
}
