"""Advances RAPL energy counters (100 W package, 20 W DRAM) and Lustre client statistics below DIR.

slurmd sees DIR/cpu as /dev/cpu and DIR/fs as /proc/fs, so Slurm's own rapl and lustre plugins read them.
Register numbers: Intel SDM vol. 4 (0x606 units, 0x611 package energy, 0x619 DRAM energy, 32 bits that wrap).
"""
import os
import struct
import sys
import time

UNITS = 0x000A0E03  # energy unit 2^-14 J
COUNTS_PER_JOULE = 1 << 14
PACKAGE_WATTS, DRAM_WATTS = 100, 20
IO_PER_SECOND, READ_BYTES, WRITE_BYTES = 10, 524288, 262144


def open_msr(base, cpu):
    os.makedirs(f"{base}/cpu/{cpu}", exist_ok=True)
    fd = os.open(f"{base}/cpu/{cpu}/msr", os.O_RDWR | os.O_CREAT, 0o644)
    for register in (0x610, 0x611, 0x619, 0x621):
        write_register(fd, register, 0)
    write_register(fd, 0x606, UNITS)
    return fd


def write_register(fd, register, value):
    os.pwrite(fd, struct.pack("<Q", value), register)


def write_lustre(path, elapsed):
    n = int(elapsed * IO_PER_SECOND)
    text = (
        f"snapshot_time {time.time():.6f} secs.usecs\n"
        f"read_bytes {n} samples [bytes] 4096 1048576 {n * READ_BYTES}\n"
        f"write_bytes {n} samples [bytes] 4096 1048576 {n * WRITE_BYTES}\n"
        f"open {n} samples [regs]\n"
    )
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def main(base):
    # Only CPU 0 advances: on a host of several packages the plugin adds up one CPU of each.
    fds = [open_msr(base, cpu) for cpu in range(os.cpu_count())]
    lustre = f"{base}/fs/lustre/llite/scratch-ffff8800"
    os.makedirs(lustre, exist_ok=True)
    start = time.time()
    while True:
        elapsed = time.time() - start
        write_register(fds[0], 0x611, int(PACKAGE_WATTS * COUNTS_PER_JOULE * elapsed) & 0xFFFFFFFF)
        write_register(fds[0], 0x619, int(DRAM_WATTS * COUNTS_PER_JOULE * elapsed) & 0xFFFFFFFF)
        write_lustre(lustre + "/stats", elapsed)
        time.sleep(0.5)


main(sys.argv[1])
