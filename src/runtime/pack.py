# SPDX-License-Identifier: Apache-2.0
"""Writes the bootstrap of Python functions as a zip, always the same for the same files: pack.py FILE... ZIP."""
import pathlib
import sys
import zipfile

*sources, target = map(pathlib.Path, sys.argv[1:])
with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
    for source in sorted(sources):
        entry = zipfile.ZipInfo(f"flexwatt/{source.name}", (2000, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100644 << 16
        archive.writestr(entry, source.read_bytes(), zipfile.ZIP_DEFLATED)
