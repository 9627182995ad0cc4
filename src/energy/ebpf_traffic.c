/* SPDX-License-Identifier: Apache-2.0
 *
 * Network traffic of one worker: two programs are tied to its control group for as long as the meter lives, and count the
 * bytes of every IP packet of the group, headers included. What it talks with flexwatt itself is left out.
 */
#include <linux/bpf.h>
#include <stdlib.h>

#include "base/memory.h"
#include "energy/ebpf_internal.h"

struct fw_traffic_meter {
	const struct fw_bpf_traffic *sums;
	int sent_fd, received_fd; /* links */
	uint64_t sent_base, received_base;
};

static uint64_t peek(const __u64 *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* The link, or -errno. The group's cell of the owners' map exists once the program is tied to it. */
static int tie(const struct fw_bpf *bpf, int program_fd, int group_fd, enum bpf_attach_type type,
               const struct fw_bpf_owner *owner)
{
	struct bpf_cgroup_storage_key key = {.cgroup_inode_id = fw_work_group_of(group_fd), .attach_type = type};
	int link_fd = fw_bpf_tie(program_fd, group_fd, type);
	int rc = link_fd >= 0 ? fw_bpf_map_set(bpf->owners_fd, &key, owner) : link_fd;

	if (link_fd >= 0 && rc < 0)
		close(link_fd);
	return rc < 0 ? rc : link_fd;
}

int fw_traffic_meter_new(const struct fw_bpf *bpf, const struct fw_metered *worker, uint32_t slot,
                         struct fw_traffic_meter **fresh, struct fw_error **err)
{
	int group_fd = worker->cgroup ? fw_cgroup_v2_fd(worker->cgroup) : -1;
	struct fw_bpf_owner owner = {slot, worker->own_address, worker->own_port};
	struct fw_traffic_meter *meter;

	if (group_fd < 0 || slot == 0)
		return fw_fail(err, FW_E_ABSENT, "a worker has no v2 control group");
	meter = fw_alloc(sizeof *meter);
	meter->sums = &bpf->traffic[slot];
	meter->sent_base = peek(&meter->sums->sent_bytes);
	meter->received_base = peek(&meter->sums->received_bytes);
	meter->sent_fd = tie(bpf, bpf->sent_fd, group_fd, BPF_CGROUP_INET_EGRESS, &owner);
	meter->received_fd = tie(bpf, bpf->received_fd, group_fd, BPF_CGROUP_INET_INGRESS, &owner);
	int refused = meter->sent_fd < 0 ? meter->sent_fd : meter->received_fd;

	if (refused < 0) {
		fw_traffic_meter_free(meter);
		return fw_fail_errno(err, -refused, "tie the programs that count traffic to a worker's control group");
	}
	*fresh = meter;
	return FW_OK;
}

void fw_traffic_meter_free(struct fw_traffic_meter *meter)
{
	if (!meter)
		return;
	if (meter->sent_fd >= 0)
		close(meter->sent_fd);
	if (meter->received_fd >= 0)
		close(meter->received_fd);
	free(meter);
}

void fw_traffic_meter_read(const struct fw_traffic_meter *meter, struct fw_reading *reading)
{
	reading->network_sent_bytes = (int64_t)(peek(&meter->sums->sent_bytes) - meter->sent_base);
	reading->network_received_bytes = (int64_t)(peek(&meter->sums->received_bytes) - meter->received_base);
}
