# SPDX-License-Identifier: Apache-2.0
"""Writes a program's bytes as a C array: embed.py PROGRAM HEADER NAME."""
import sys

with open(sys.argv[1], "rb") as program:
    image = program.read()
with open(sys.argv[2], "w", encoding="ascii") as header:
    header.write("static const unsigned char %s[] = {\n" % sys.argv[3])
    for start in range(0, len(image), 16):
        header.write("\t" + " ".join("0x%02x," % byte for byte in image[start:start + 16]) + "\n")
    header.write("};\n")
