"""The ML application's two heavy parts as one would write them in Python, with numpy and LightGBM: the same algorithm and parameters.

    ml_python.py pca DIGITS.tsv COMPONENTS THREADS
    ml_python.py train COMPONENTS.npy ROWS MODELS THREADS

Prints seconds of CPU and by the clock, in this process without its start, its imports and the reading of its input.
"""
import json
import sys
import time

import numpy as np

BITS = (1 << 64) - 1


def draw(model, seed=42):
    """What the application draws for a model."""
    mixed = seed + (model + 1) * 0x9E3779B97F4A7C15 & BITS
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & BITS
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & BITS
    mixed ^= mixed >> 31
    return {"feature_fraction": (5 + mixed % 5) / 10, "bagging_fraction": (5 + (mixed >> 8) % 5) / 10,
            "max_depth": 6 + (mixed >> 16) % 5, "seed": mixed >> 33}


def pca(rows, components):
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(rows) - 1))
    order = np.argsort(values)[::-1][:components]
    return values[order], vectors[:, order], centred @ vectors[:, order]


def train(rows, models, threads):
    import lightgbm

    data = lightgbm.Dataset(rows[:, 1:], rows[:, 0], params={"num_threads": threads, "force_col_wise": True, "verbosity": -1})
    for model in range(models):
        lightgbm.train({"objective": "multiclass", "num_class": 10, "boosting": "gbdt", "num_leaves": 50, "learning_rate": 0.05,
                        "bagging_freq": 5, "num_threads": threads, "deterministic": True, "force_col_wise": True, "verbosity": -1,
                        **draw(model)}, data, num_boost_round=30)


def main():
    what, path, *numbers = sys.argv[1:]
    if what == "pca":
        rows = np.loadtxt(path, delimiter="\t")[:, 1:].copy()
        work = lambda: pca(rows, int(numbers[0]))  # noqa: E731
    else:
        import lightgbm  # noqa: F401

        rows = np.load(path)[:int(numbers[0])]
        work = lambda: train(rows, int(numbers[1]), int(numbers[2]))  # noqa: E731
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    print(json.dumps({"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}))


if __name__ == "__main__":
    main()
