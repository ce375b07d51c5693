"""Wall time and peak memory of whole runs, with their errors; each in a process and home of its own.

    python benchmarks/runs.py demo
    python benchmarks/runs.py paris      (needs VEILCAST_DATA or the network)

The ratio is to the time of importing torch, mlflow and prefect in the same run.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import psutil

MAIN = "import sys; from flows.cli.app import main; sys.argv[0] = 'veilcast'; main()"
RUNS = {
    "demo": ["demo"],
    "paris": ["train", "--source", "paris-cdr", "--mechanism", "none", "--model", "bigru"],
}


def peak(process: "subprocess.Popen[str]", found: list[int]) -> None:
    """Watch the memory (proportional share) of a process and its children."""
    while process.poll() is None:
        try:
            family = [psutil.Process(process.pid)]
            family += family[0].children(recursive=True)
            found.append(sum(one.memory_full_info().pss for one in family))
        except psutil.Error:
            pass
        time.sleep(0.2)


def measured(arguments: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "VEILCAST_HOME": home}
        started = time.perf_counter()
        command = [sys.executable, "-c", MAIN, *arguments, "--json", "--quiet"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        memory: list[int] = [0]
        watcher = threading.Thread(target=peak, args=(process, memory))
        watcher.start()
        output, _ = process.communicate()
        watcher.join()
        seconds = time.perf_counter() - started
    document = json.loads(output)
    return {
        "seconds": round(seconds, 1),
        "peak_gib": round(max(memory) / 2**30, 2),
        "rmse": round(document["rmse"]["mean"], 1),
        "persistence_rmse": round(document["baselines"]["persistence"]["rmse"]["mean"], 1),
    }


def import_seconds() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch, mlflow, prefect"], check=True)
    return time.perf_counter() - started


name = sys.argv[1] if len(sys.argv) > 1 else "demo"
peer = import_seconds()
result = measured(RUNS[name])
ratio = round(result["seconds"] / peer, 1)
print(json.dumps({"run": name, **result, "ratio_to_imports": ratio}))
