"""Start-up figures: whole process of one check, import of the package, memory, the compiled scorer loaded. Run: python benchmarks/startup.py."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

TEXT = "花户也能下的口子,一张身份证秒到账"
ROUNDS = 15
COMPILED = "from pipeline.compiled import load_compiled; load_compiled()"
BUILT = """
from pipeline.compiled import CompiledClassifier
from pipeline.model.artefact import load_artefact
from pipeline.resources import default_model_path
CompiledClassifier(load_artefact(default_model_path()))
"""


def seconds(*command: str) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        times.append(time.perf_counter() - start)
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: status {done.returncode}: {done.stderr.strip()}")
    return statistics.median(times)


def peak_memory(*command: str) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    check = (sys.executable, "-m", "pipeline.cli", "check", TEXT)
    print(f"bare python            {seconds(sys.executable, '-c', 'pass'):.3f} s")
    print(f"import pipeline        {seconds(sys.executable, '-c', 'import pipeline'):.3f} s")
    print(f"loanlint check TEXT    {seconds(*check):.3f} s (median of {ROUNDS}, warm file cache)")
    print(f"peak memory of check   {peak_memory(*check):.0f} MB")
    subprocess.run((sys.executable, "-c", COMPILED), check=True)  # compiles where nothing is kept yet
    print(f"load_compiled()        {seconds(sys.executable, '-c', COMPILED):.3f} s")
    print(f"… its tables built     {seconds(sys.executable, '-c', BUILT):.3f} s")
