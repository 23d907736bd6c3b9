"""python benchmarks/reliability/fuzz.py [CASES]: tests/test_fuzz.py in one process, with so many cases (10,000).

Prints how many of each kind were done and how many refused, and writes results/fuzzing.json; exit code 1 if anything
else became of one of them. Every start tries other cases.
"""

import json
import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "fuzzing.json"


def main() -> None:
    cases = sys.argv[1] if len(sys.argv) > 1 else "10000"
    os.environ["SSGAN_FUZZ_CASES"] = cases
    started = time.monotonic()
    failed = pytest.main([str(ROOT / "tests" / "test_fuzz.py"), "-q", "--numprocesses=0", "-p", "no:cacheprovider"])
    outcomes = dict(sorted(sys.modules["test_fuzz"].OUTCOMES.items()))
    print(json.dumps(outcomes, indent=2))
    if failed:
        sys.exit(1)
    from ssgan.training.environment import environment  # it imports Hydra, which pytest wants to import first

    result = {
        "cases": sum(outcomes.values()),
        "outcomes": outcomes,
        "seconds": round(time.monotonic() - started),
        "environment": environment() | {"command": f"python benchmarks/reliability/fuzz.py {cases}"},
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
