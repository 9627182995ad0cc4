"""One sample of CodeCarbon in place: CPU time of its measurement, called in turns with pauses as its scheduler does.

    codecarbon_sample.py SAMPLES PAUSE_MS    in a venv with codecarbon; prints JSON, microseconds each
"""
import json
import sys
import time

from codecarbon import OfflineEmissionsTracker

samples, pause_s = int(sys.argv[1]), float(sys.argv[2]) / 1000
tracker = OfflineEmissionsTracker(country_iso_code="ESP", save_to_file=False, log_level="critical",
                                  measure_power_secs=3600, allow_multiple_runs=True)
tracker.start()
used = []
for _ in range(samples):
    time.sleep(pause_s)
    before = time.process_time()
    tracker._measure_power_and_energy()
    used.append(1e6 * (time.process_time() - before))
tracker.stop()
print(json.dumps(used))
