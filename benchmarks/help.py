"""Time of `veilcast --help` as a ratio to starting Python and importing Typer, in the same run."""

import json
import statistics
import subprocess
import sys
import time

HELP = "import sys; sys.argv = ['veilcast', '--help']; from flows.cli.app import main; main()"


def seconds(code: str) -> float:
    times = []
    for _ in range(7):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


ours, peer = seconds(HELP), seconds("import typer")
print(json.dumps({"help_seconds": round(ours, 3), "ratio_to_import_typer": round(ours / peer, 2)}))
