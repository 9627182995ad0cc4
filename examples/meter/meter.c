/* SPDX-License-Identifier: Apache-2.0
 *
 * Measures a second of its own work:
 *   cc meter.c $(pkg-config --cflags --libs flexwatt) -o meter && ./meter
 */
#include <flexwatt/flexwatt.h>
#include <stdio.h>
#include <time.h>

static double work_for(double seconds)
{
	time_t begin = time(NULL);
	double sum = 0;

	while (difftime(time(NULL), begin) < seconds)
		for (int i = 1; i < 1000000; i++)
			sum += 1.0 / i;
	return sum;
}

int main(void)
{
	struct fw_meter *meter;
	struct fw_meter_figures figures = FW_METER_FIGURES;
	char why[256];

	if (fw_meter_start(NULL, &meter, why, sizeof why) != 0) {
		fprintf(stderr, "meter: %s\n", why);
		return 1;
	}
	double sum = work_for(1);

	if (fw_meter_stop(meter, &figures, why, sizeof why) != 0) {
		fprintf(stderr, "meter: %s\n", why);
		return 1;
	}
	printf("sum %.3f: %.3f s, %.3f s of CPU, %.3f J (%.3f to %.3f), %s by %s, %.6f g CO2e\n", sum, figures.seconds, figures.cpu_seconds,
	       figures.joules, figures.joules_low, figures.joules_high, figures.modelled ? "modelled" : "measured", figures.source,
	       figures.operational_gco2e + figures.embodied_gco2e);
	return 0;
}
