/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is at the other end of a loopback TCP connection: the kernel's socket table by NETLINK_SOCK_DIAG, asked for exactly
 * one pair of addresses. The answer names the uid that made the peer's socket, which its owner cannot forge.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "http/server.h"

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

static int ends_of(int fd, struct sockaddr_in *here, struct sockaddr_in *peer, struct fw_error **err)
{
	socklen_t here_size = sizeof *here, peer_size = sizeof *peer;

	if (getsockname(fd, (struct sockaddr *)here, &here_size) < 0 ||
	    getpeername(fd, (struct sockaddr *)peer, &peer_size) < 0)
		return fw_fail_errno(err, errno, "read the addresses of a connection");
	if (here->sin_family != AF_INET)
		return fw_fail(err, FW_E_INVALID, "the connection is not IPv4");
	return FW_OK;
}

/* The peer's socket has our peer address as its source and ours as its destination. */
static struct question question_about(const struct sockaddr_in *here, const struct sockaddr_in *peer)
{
	struct question question = {
		.header = {
			.nlmsg_len = sizeof question,
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.request = {
			.sdiag_family = AF_INET,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = (__u32)-1,
			.id = {
				.idiag_sport = peer->sin_port,
				.idiag_dport = here->sin_port,
				.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE},
			},
		},
	};

	question.request.id.idiag_src[0] = peer->sin_addr.s_addr;
	question.request.id.idiag_dst[0] = here->sin_addr.s_addr;
	return question;
}

int fw_http_peer_answer(const char *bytes, size_t length, unsigned *uid, struct fw_error **err)
{
	struct nlmsghdr header;

	if (length < sizeof header)
		return fw_fail(err, FW_E_IO, "short answer from the socket table");
	memcpy(&header, bytes, sizeof header);
	if (header.nlmsg_type == NLMSG_ERROR && length >= sizeof header + sizeof(int)) {
		int code = 0;

		memcpy(&code, bytes + sizeof header, sizeof code);
		if (code < 0 && code > INT_MIN)
			return fw_fail_errno(err, -code, "look the peer up in the socket table");
	}
	struct inet_diag_msg message;

	if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || length < sizeof header + sizeof message)
		return fw_fail(err, FW_E_IO, "unexpected answer from the socket table");
	memcpy(&message, bytes + sizeof header, sizeof message);
	*uid = message.idiag_uid;
	return FW_OK;
}

int fw_http_peer_uid(int fd, unsigned *uid, struct fw_error **err)
{
	struct sockaddr_in here = {0}, peer = {0};
	int rc = ends_of(fd, &here, &peer, err);

	if (rc != FW_OK)
		return rc;
	fw_cleanup_fd int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	if (netlink < 0)
		return fw_fail_errno(err, errno, "open the socket table");
	struct question question = question_about(&here, &peer);
	char answer[1024];

	if (send(netlink, &question, sizeof question, 0) < 0)
		return fw_fail_errno(err, errno, "ask the socket table");
	ssize_t length = recv(netlink, answer, sizeof answer, 0); /* the kernel answers within send(): never blocks */

	if (length < 0)
		return fw_fail_errno(err, errno, "read the socket table");
	return fw_http_peer_answer(answer, (size_t)length, uid, err);
}
