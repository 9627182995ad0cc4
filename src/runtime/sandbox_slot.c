/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots: the number of a sandbox gives its uid (base + slot) and its loopback address (127.77.hi.lo). The listening socket
 * on that address is the claim: the kernel lets only one engine of the machine listen there and gives the slot back
 * however the engine ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "runtime/sandbox_child.h"
#include "runtime/sandbox_internal.h"

enum { BACKLOG = 128 };

static struct sockaddr_in address_of(unsigned slot)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(FW_SANDBOX_PORT), .sin_addr.s_addr = htonl(0x7f4d0000u | slot)};
}

static int listen_on(unsigned slot)
{
	struct sockaddr_in address = address_of(slot);
	int yes = 1;
	fw_cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Connections of an earlier worker may linger; a second listener is still refused. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, BACKLOG) != 0)
		return -1;
	return fw_take_fd(&fd);
}

static bool claim(struct fw_sandboxes *shared, unsigned slot)
{
	uint64_t bit = 1ULL << (slot % 64);
	bool free_here;

	pthread_mutex_lock(&shared->lock);
	free_here = !(shared->slots[slot / 64] & bit);
	shared->slots[slot / 64] |= bit;
	pthread_mutex_unlock(&shared->lock);
	return free_here;
}

static void release(struct fw_sandboxes *shared, unsigned slot)
{
	pthread_mutex_lock(&shared->lock);
	shared->slots[slot / 64] &= ~(1ULL << (slot % 64));
	pthread_mutex_unlock(&shared->lock);
}

int fw_slot_take(struct fw_sandbox *sandbox, struct fw_error **err)
{
	struct fw_sandboxes *shared = sandbox->shared;

	for (unsigned slot = 1; slot < FW_SANDBOX_SLOTS; slot++) {
		if (!claim(shared, slot))
			continue;
		sandbox->reservation_fd = listen_on(slot);
		if (sandbox->reservation_fd >= 0) {
			sandbox->slot = slot;
			sandbox->uid = shared->own_uid ? shared->uid_base + slot : geteuid();
			return FW_OK;
		}
		int error_number = errno;
		release(shared, slot);
		if (error_number != EADDRINUSE)
			return fw_fail_errno(err, error_number, "listen on a loopback address of 127.77.0.0/16");
	}
	return fw_fail(err, FW_E_LIMIT, "no free sandbox of %d: all loopback addresses of 127.77.0.0/16 are taken",
	               FW_SANDBOX_SLOTS - 1);
}

void fw_slot_give_back(struct fw_sandbox *sandbox)
{
	if (sandbox->reservation_fd >= 0)
		close(sandbox->reservation_fd);
	sandbox->reservation_fd = -1;
	if (sandbox->slot > 0)
		release(sandbox->shared, sandbox->slot);
	sandbox->slot = 0;
}

struct isolated {
	const struct fw_sandboxes *shared;
	int listener_fd, network_fd; /* out */
	struct fw_child_failure failure;
};

FW_CHILD static int failed(struct isolated *isolated, const char *doing)
{
	isolated->failure = (struct fw_child_failure){doing, errno, -1};
	return 1;
}

/* In a child that shares the descriptor table: what it opens is the engine's, but belongs to the new namespace. */
FW_CHILD static int open_network(void *context)
{
	struct isolated *isolated = context;
	struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct sockaddr_in address = {.sin_family = AF_INET};

	address.sin_port = (in_port_t)__builtin_bswap16(FW_SANDBOX_PORT);
	address.sin_addr.s_addr = __builtin_bswap32(0x7f000001u);
	if (isolated->shared->user_fd >= 0 && fw_call(SYS_setns, isolated->shared->user_fd, CLONE_NEWUSER) != 0)
		return failed(isolated, "enter the user namespace");
	if (fw_call(SYS_unshare, CLONE_NEWNET) != 0)
		return failed(isolated, "make a network namespace");
	isolated->listener_fd = (int)fw_call(SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (isolated->listener_fd < 0 || fw_call(SYS_ioctl, isolated->listener_fd, SIOCSIFFLAGS, &loopback) != 0)
		return failed(isolated, "bring its loopback interface up");
	if (fw_call(SYS_bind, isolated->listener_fd, &address, sizeof address) != 0 ||
	    fw_call(SYS_listen, isolated->listener_fd, BACKLOG) != 0)
		return failed(isolated, "listen inside it");
	isolated->network_fd = (int)fw_call(SYS_openat, AT_FDCWD, "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return isolated->network_fd < 0 ? failed(isolated, "open /proc/self/ns/net") : 0;
}

static int listen_isolated(struct fw_sandbox *sandbox, struct fw_error **err)
{
	struct isolated isolated = {.shared = sandbox->shared, .listener_fd = -1, .network_fd = -1};

	if (sandbox->shared->isolation == FW_ISOLATION_PLAIN)
		return fw_error_hint(err, fw_fail(err, FW_E_ENVIRONMENT, "network: none needs network namespaces, which this "
		                     "machine refuses"), "run as root, or allow user namespaces, or use network: host");
	pid_t pid = fw_child_run(open_network, &isolated, CLONE_FILES, NULL);
	if (pid < 0)
		isolated.failure = (struct fw_child_failure){"start a process", errno, -1};
	else
		waitpid(pid, NULL, __WALL);
	if (isolated.failure.doing) {
		if (isolated.listener_fd >= 0)
			close(isolated.listener_fd);
		return fw_fail_errno(err, isolated.failure.error_number, "network: none: %s", isolated.failure.doing);
	}
	sandbox->listener_fd = isolated.listener_fd;
	sandbox->network_fd = isolated.network_fd;
	return FW_OK;
}

int fw_slot_listen(struct fw_sandbox *sandbox, enum fw_network network, struct fw_error **err)
{
	struct sockaddr_in address = address_of(sandbox->slot);

	sandbox->address.port = FW_SANDBOX_PORT;
	if (network == FW_NETWORK_NONE) {
		snprintf(sandbox->address.host, sizeof sandbox->address.host, "127.0.0.1");
		return listen_isolated(sandbox, err);
	}
	inet_ntop(AF_INET, &address.sin_addr, sandbox->address.host, sizeof sandbox->address.host);
	/* A second descriptor: the claim outlives the listener, until the last process is gone. */
	sandbox->listener_fd = fcntl(sandbox->reservation_fd, F_DUPFD_CLOEXEC, 3);
	return sandbox->listener_fd < 0 ? fw_fail_errno(err, errno, "keep the sandbox's socket") : FW_OK;
}
