/* SPDX-License-Identifier: Apache-2.0
 *
 * What the monitor `ebpf` says before it tries, on trees of files; and what it makes of idle states, frequency and thermal
 * events, from records that the tests write in place of the kernel.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "energy/ebpf_internal.h"
#include "host/kernel.h"
#include "tests/unit/support.h"

#define ROOT_STATUS "Name:\tx\nCapEff:\t000001ffffffffff\n"

static int check(const char *release, const char *lockdown, const char *status, bool has_btf, struct fw_error **err)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/sys/kernel/osrelease", release, "sys/kernel/security/lockdown", lockdown, "proc/self/status", status,
	            "proc/sys/kernel/unprivileged_bpf_disabled", "2\n", has_btf ? "sys/kernel/btf/vmlinux" : "sys/kernel/x", "x",
	            NULL);

	return fw_bpf_check(&(struct fw_root){tree.fd}, err);
}

static void each_obstacle_is_told_with_its_remedy(void **state)
{
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(check("6.1.0-18-amd64\n", "[none] integrity confidentiality\n", ROOT_STATUS, true, &err), err);
	assert_ok(check("5.8.0\n", "none [integrity] confidentiality\n", ROOT_STATUS, true, &err), err);
	assert_error_is(check("5.7.19\n", "", ROOT_STATUS, true, &err), &err, FW_E_ABSENT, "kernel 5.7.19 is older than 5.8");
	err = NULL;
	assert_error_is(check("6.1.0\n", "", ROOT_STATUS, false, &err), &err, FW_E_ABSENT, "tells no types");
	err = NULL;
	assert_error_is(check("6.1.0\n", "none integrity [confidentiality]\n", ROOT_STATUS, true, &err), &err,
	                FW_E_PERMISSION, "locked down");
	err = NULL;
	assert_error_is(check("6.1.0\n", "", "CapEff:\t0000000000000000\n", true, &err), &err, FW_E_PERMISSION,
	                "CAP_BPF and CAP_PERFMON, and unprivileged BPF is disabled");
	err = NULL;
	assert_ok(check("6.1.0\n", "", "CapEff:\t000000c000000000\n", true, &err), err);
	assert_error_is(check("6.1.0\n", "", "CapEff:\t0000008000000000\n", true, &err), &err, FW_E_PERMISSION, "CAP_PERFMON");
}

static void a_kernel_that_was_built_without_it_is_told_by_its_configuration(void **state)
{
	static const struct {
		const char *config, *said;
	} cases[] = {
		{"CONFIG_BPF=y\n# CONFIG_BPF_SYSCALL is not set\nCONFIG_DEBUG_INFO_BTF=y\n", "without CONFIG_BPF_SYSCALL"},
		{"CONFIG_BPF_SYSCALL=y\n# CONFIG_DEBUG_INFO_BTF is not set\n", "without its types (CONFIG_DEBUG_INFO_BTF)"},
		{"CONFIG_BPF_SYSCALL=y\nCONFIG_DEBUG_INFO_BTF=y\n", "tells no types"}, /* a container without /sys */
		{"", "tells no types"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		fw_cleanup_tree struct tree tree = tree_of("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n", "boot/config-6.1.0-18-amd64",
		                                           cases[i].config, "proc/self/status", ROOT_STATUS, NULL);
		struct fw_error *err = NULL;

		assert_error_is(fw_bpf_check(&(struct fw_root){tree.fd}, &err), &err, FW_E_ABSENT, cases[i].said);
	}
	assert_int_equal(fw_kernel_option_parse(fw_str_of("CONFIG_INTEL_RAPL_CORE=m\nCONFIG_INTEL_RAPL=m\n"), "CONFIG_INTEL_RAPL"),
	                 FW_BUILT_MODULE);
	assert_int_equal(fw_kernel_option_parse(fw_str_of("CONFIG_X=y\n"), "CONFIG_INTEL_RAPL"), FW_BUILT_NOT);
	assert_int_equal(fw_kernel_option_parse(fw_str_of("an error page\n"), "CONFIG_INTEL_RAPL"), FW_BUILT_UNKNOWN);
}

static void releases_are_compared_as_numbers(void **state)
{
	static const struct {
		const char *release;
		bool is;
	} cases[] = {{"5.8", true}, {"5.10.0", true}, {"10.1", true}, {"5.7", false}, {"4.19.0", false},
	             {"", false}, {"5", false}, {"5.", false}, {"x.y", false}, {"99999999.1", false}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(fw_kernel_at_least(fw_str_of(cases[i].release), 5, 8), cases[i].is);
}

static struct fw_bpf_event waiting[64];
static size_t waiting_count;

static void hand_over(struct fw_bpf *bpf, fw_bpf_event_fn *take, void *context)
{
	(void)bpf;
	for (size_t i = 0; i < waiting_count; i++)
		take(context, &waiting[i]);
	waiting_count = 0;
}

static void tell(uint32_t kind, uint32_t where, int64_t value)
{
	waiting[waiting_count++] = (struct fw_bpf_event){fw_monotonic_ns(), kind, where, value};
}

static struct fw_bpf_idle idle[2];
static struct fw_bpf played = {.cpu_count = 2, .idle = idle, .has_idle = true, .take_events = hand_over};

static struct fw_bpf_history *history_of(struct tree *tree)
{
	memset(idle, 0, sizeof idle);
	return fw_bpf_history_new(&played, &(struct fw_root){tree->fd});
}

static void frequency_and_temperature_come_from_events_and_foreign_values_are_left_out(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("sys/", NULL);
	struct fw_bpf_history *history = history_of(&tree);
	uint64_t begin_ns = fw_monotonic_ns();
	struct fw_record record;

	(void)state;
	tell(FW_BPF_FREQUENCY, 0, 2000000);
	tell(FW_BPF_FREQUENCY, 1, 3000000);
	tell(FW_BPF_FREQUENCY, 99, 9000000); /* no such CPU */
	tell(FW_BPF_FREQUENCY, 0, -5);
	tell(FW_BPF_TEMPERATURE, 0, 51000);
	tell(FW_BPF_TEMPERATURE, 1, 48000);
	tell(FW_BPF_TEMPERATURE, 1, 999000000); /* a sensor without a value */
	tell(77, 0, 1);
	fw_bpf_history_sample(history);
	fw_bpf_history_sample(history); /* no event: the frequency holds, the temperature is not told again */
	fw_record_init(&record);
	fw_bpf_history_fill(history, begin_ns, fw_monotonic_ns(), &record);
	assert_near(record.frequency_mhz_min, 2000, 1e-9);
	assert_near(record.frequency_mhz_mean, 2500, 1e-9);
	assert_near(record.frequency_mhz_max, 3000, 1e-9);
	assert_near(record.temperature_c, 51, 1e-9);
	fw_record_done(&record);
	fw_record_init(&record);
	fw_bpf_history_fill(history, 1, 2, &record); /* nothing was sampled then */
	assert_true(isnan(record.frequency_mhz_mean) && isnan(record.temperature_c));
	fw_record_done(&record);
	fw_bpf_history_free(history);
}

static void keep_warning(void *context, enum fw_log_level level, const char *message)
{
	char *kept = context;

	assert_int_equal(level, FW_LOG_WARNING);
	assert_string_equal(kept, ""); /* once */
	snprintf(kept, 200, "%s", message);
}

/* The ring was full: what it did not take may have been the highest. */
static void where_events_were_lost_no_frequency_is_told_and_a_warning_is(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("sys/", NULL);
	__u64 lost = 0;
	char warning[200] = "";

	(void)state;
	played.events_lost = &lost;
	struct fw_bpf_history *history = history_of(&tree);

	fw_log_set(FW_LOG_WARNING, keep_warning, warning);
	tell(FW_BPF_FREQUENCY, 0, 2000000);
	uint64_t first_ns = fw_monotonic_ns();
	fw_bpf_history_sample(history);
	uint64_t second_ns = fw_monotonic_ns();
	tell(FW_BPF_FREQUENCY, 0, 2500000);
	tell(FW_BPF_TEMPERATURE, 0, 51000);
	lost = 7;
	fw_bpf_history_sample(history);
	uint64_t third_ns = fw_monotonic_ns();
	tell(FW_BPF_FREQUENCY, 1, 3000000);
	fw_bpf_history_sample(history);
	uint64_t fourth_ns = fw_monotonic_ns();
	fw_bpf_history_sample(history);
	tell(FW_BPF_FREQUENCY, 1, 3000000);
	lost = 8;
	fw_bpf_history_sample(history);
	fw_log_set(FW_LOG_ERROR, NULL, NULL);
	assert_non_null(strstr(warning, "events of frequency and temperature were lost"));
	struct fw_record record;

	fw_record_init(&record);
	fw_bpf_history_fill(history, first_ns, third_ns, &record);
	assert_true(isnan(record.frequency_mhz_mean) && isnan(record.temperature_c));
	fw_bpf_history_fill(history, second_ns, second_ns, &record); /* the sample that tells of it has lost some */
	assert_true(isnan(record.frequency_mhz_mean));
	fw_bpf_history_fill(history, first_ns, second_ns - 1, &record);
	assert_true(isnan(record.frequency_mhz_mean));
	fw_bpf_history_fill(history, third_ns, fourth_ns, &record); /* none of that time; what was before is forgotten */
	assert_near(record.frequency_mhz_mean, 3000, 1e-9);
	assert_near(record.frequency_mhz_min, 3000, 1e-9);
	fw_record_done(&record);
	fw_bpf_history_free(history);
	played.events_lost = NULL;
}

/* Busy waiting: a CPU that is idle in the records for a known share of a known time. */
static void wait_until(uint64_t time_ns)
{
	while (fw_monotonic_ns() < time_ns)
		;
}

static void idle_residency_is_of_the_interval_and_leaves_polling_out(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		"sys/devices/system/cpu/cpu0/cpuidle/state0/name", "POLL\n", "sys/devices/system/cpu/cpu0/cpuidle/state1/name", "C6\n",
		NULL);
	struct fw_bpf_history *history = history_of(&tree);
	struct fw_record record;
	uint64_t before_ns, begin_ns, end_ns;

	(void)state;
	idle[0].wakeups = idle[1].wakeups = 1;
	before_ns = fw_monotonic_ns();
	fw_bpf_history_sample(history);
	begin_ns = fw_monotonic_ns();
	wait_until(begin_ns + 20000000);
	idle[0].ns[1] += 10000000;
	idle[1].ns[0] += 20000000; /* polling */
	end_ns = fw_monotonic_ns();
	fw_bpf_history_sample(history);
	const uint64_t after_ns = fw_monotonic_ns();

	fw_record_init(&record);
	fw_bpf_history_fill(history, begin_ns, end_ns, &record);
	assert_true(record.cstate_residency_percent <= 100 * 10e6 / 2 / (double)(end_ns - begin_ns));
	assert_true(record.cstate_residency_percent >= 100 * 10e6 / 2 / (double)(after_ns - before_ns));
	record.cstate_residency_percent = NAN;
	fw_bpf_history_fill(history, begin_ns + 9000000, begin_ns + 10000000, &record); /* far shorter than the samples */
	assert_true(isnan(record.cstate_residency_percent));
	fw_record_done(&record);
	fw_bpf_history_free(history);
}

static void a_record_that_is_being_written_is_not_read(void **state)
{
	struct fw_bpf_idle written = {.version = 3}, copy;

	(void)state;
	assert_false(fw_bpf_read_idle(&written, &copy));
	written.version = 4;
	written.ns[2] = 7;
	assert_true(fw_bpf_read_idle(&written, &copy));
	assert_int_equal(copy.ns[2], 7);
}

FW_TESTS(a_kernel_that_was_built_without_it_is_told_by_its_configuration, each_obstacle_is_told_with_its_remedy,
         releases_are_compared_as_numbers,
         frequency_and_temperature_come_from_events_and_foreign_values_are_left_out,
         where_events_were_lost_no_frequency_is_told_and_a_warning_is,
         idle_residency_is_of_the_interval_and_leaves_polling_out, a_record_that_is_being_written_is_not_read)
