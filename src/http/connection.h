/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of the server: reads requests one after the other, parks each until it is answered, writes the answer.
 * Shared by server.c and connection.c only.
 */
#pragma once

#include "http/parser.h"
#include "http/server.h"

struct fw_http_connection;

struct fw_http_server {
	struct fw_loop *loop;
	int fd;
	struct fw_watch *watch;
	struct fw_timer *pause; /* accepting rests while descriptors are short */
	struct fw_http_limits limits;
	struct fw_http_service service;
	void *context;
	struct fw_http_connection *first; /* all connections, newest first */
	size_t count;
	size_t body_bytes; /* received of bodies, on all connections */
};

/* Takes the descriptor over and links the connection to its server. */
void fw_http_connection_new(struct fw_http_server *server, int fd);
/* Closes it; one that is inside a callback is freed when that returns. */
void fw_http_connection_close(struct fw_http_connection *connection);
