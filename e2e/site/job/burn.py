"""burn.py SECONDS MEGABYTES [SHARE]: keeps MEGABYTES resident and one CPU busy for SHARE of the time.

Ends by printing the CPU seconds that the kernel counted for it: on a busy machine less than was asked for.
"""
import os
import sys
import time

seconds, megabytes = float(sys.argv[1]), int(sys.argv[2])
share = float(sys.argv[3]) if len(sys.argv) > 3 else 1.0
block = bytearray(megabytes << 20)
for page in range(0, len(block), 4096):
    block[page] = 1
end = time.time() + seconds
while time.time() < end:
    tick = time.time()
    while time.time() - tick < 0.1 * share:
        pass
    time.sleep(max(0.0, 0.1 - (time.time() - tick)))
used = os.times()
print(f"cpu_seconds={used.user + used.system:.2f}", flush=True)
