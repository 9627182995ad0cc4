/* SPDX-License-Identifier: Apache-2.0
 *
 * Frequency and temperature of the machine, sampled into a ring that holds the longest invocation (15 minutes at ten
 * samples a second). Reading a frequency interrupts its CPU, so that of many CPUs an even selection stands for all.
 */
#include "energy/sensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/str.h"
#include "base/time.h"

enum { MAX_FREQUENCIES = 16, MAX_TEMPERATURES = 16, RING = 9216 };

struct sample {
	uint64_t time_ns;
	float mhz_min, mhz_mean, mhz_max, celsius; /* NAN unknown */
};

struct fw_sensors {
	int frequencies[MAX_FREQUENCIES], temperatures[MAX_TEMPERATURES];
	unsigned frequency_count, temperature_count;
	struct sample *ring;
	uint64_t taken;
};

static int open_number(const struct fw_root *root, const char *path)
{
	int fd = fw_root_open_file(root, path);
	char text[32];

	if (fd >= 0 && fw_pread_text(fd, text, sizeof text) <= 0) {
		close(fd); /* present, and never readable: a driver without its hardware */
		fd = -1;
	}
	return fd;
}

static void open_frequencies(const struct fw_root *root, const struct fw_machine *machine, struct fw_sensors *sensors)
{
	unsigned step = machine->cpu_count / MAX_FREQUENCIES + 1;
	char path[96];

	for (unsigned cpu = 0; cpu < machine->cpu_count && sensors->frequency_count < MAX_FREQUENCIES; cpu += step) {
		snprintf(path, sizeof path, "sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", cpu);
		int fd = open_number(root, path);

		if (fd >= 0)
			sensors->frequencies[sensors->frequency_count++] = fd;
	}
}

static void open_temperatures(const struct fw_root *root, struct fw_sensors *sensors)
{
	char path[96];

	for (int zone = 0; zone < MAX_TEMPERATURES; zone++) {
		snprintf(path, sizeof path, "sys/class/thermal/thermal_zone%d/temp", zone);
		int fd = open_number(root, path);

		if (fd >= 0)
			sensors->temperatures[sensors->temperature_count++] = fd;
	}
	for (int chip = 0; chip < 8; chip++) {
		snprintf(path, sizeof path, "sys/class/hwmon/hwmon%d/temp1_input", chip);
		int fd = sensors->temperature_count < MAX_TEMPERATURES ? open_number(root, path) : -1;

		if (fd >= 0)
			sensors->temperatures[sensors->temperature_count++] = fd;
	}
}

struct fw_sensors *fw_sensors_new(const struct fw_root *root, const struct fw_machine *machine)
{
	struct fw_sensors *sensors = fw_alloc(sizeof *sensors);

	open_frequencies(root, machine, sensors);
	open_temperatures(root, sensors);
	if (sensors->frequency_count + sensors->temperature_count > 0)
		sensors->ring = fw_alloc_array(RING, sizeof *sensors->ring);
	return sensors;
}

void fw_sensors_free(struct fw_sensors *sensors)
{
	if (!sensors)
		return;
	for (unsigned i = 0; i < sensors->frequency_count; i++)
		close(sensors->frequencies[i]);
	for (unsigned i = 0; i < sensors->temperature_count; i++)
		close(sensors->temperatures[i]);
	free(sensors->ring);
	free(sensors);
}

unsigned fw_sensors_frequencies(const struct fw_sensors *sensors)
{
	return sensors->frequency_count;
}

unsigned fw_sensors_temperatures(const struct fw_sensors *sensors)
{
	return sensors->temperature_count;
}

static float thousandth(int fd)
{
	char text[32];
	ssize_t length = fw_pread_text(fd, text, sizeof text);
	int64_t value;

	if (length <= 0 || !fw_str_to_i64(fw_str_trim((struct fw_str){text, (size_t)length}), &value))
		return NAN;
	return (float)value / 1000;
}

void fw_sensors_sample(struct fw_sensors *sensors)
{
	struct sample sample = {fw_monotonic_ns(), NAN, NAN, NAN, NAN};
	float sum = 0;
	unsigned count = 0;

	if (!sensors->ring)
		return;
	for (unsigned i = 0; i < sensors->frequency_count; i++) {
		float mhz = thousandth(sensors->frequencies[i]);

		if (!(mhz > 0))
			continue;
		sample.mhz_min = fminf(sample.mhz_min, mhz); /* of NAN and a number: the number */
		sample.mhz_max = fmaxf(sample.mhz_max, mhz);
		sum += mhz;
		count++;
	}
	if (count > 0)
		sample.mhz_mean = sum / (float)count;
	for (unsigned i = 0; i < sensors->temperature_count; i++) {
		float celsius = thousandth(sensors->temperatures[i]);

		if (celsius > -40 && celsius < 150)
			sample.celsius = fmaxf(sample.celsius, celsius);
	}
	sensors->ring[sensors->taken++ % RING] = sample;
}

void fw_sensors_fill(const struct fw_sensors *sensors, uint64_t begin_ns, uint64_t end_ns, struct fw_record *record)
{
	double sum = 0;
	unsigned count = 0;

	for (uint64_t i = sensors->taken; i > 0 && sensors->taken - i < RING; i--) {
		const struct sample *sample = &sensors->ring[(i - 1) % RING];

		if (sample->time_ns > end_ns)
			continue;
		if (sample->time_ns < begin_ns)
			break;
		record->temperature_c = fmax(record->temperature_c, (double)sample->celsius);
		if (isnan(sample->mhz_mean))
			continue;
		record->frequency_mhz_min = fmin(record->frequency_mhz_min, (double)sample->mhz_min);
		record->frequency_mhz_max = fmax(record->frequency_mhz_max, (double)sample->mhz_max);
		sum += (double)sample->mhz_mean;
		count++;
	}
	if (count > 0)
		record->frequency_mhz_mean = sum / count;
}
