"""A product process with other limits than the house's: `python -m tests.workers.impatient NAME`.

Production knows no way to change them; a test would wait for half a minute without.
"""

import json
import os
import sys
from dataclasses import replace

from pipelines.settings import load
from pipelines.telemetry import configure
from pipelines.wiring import build_house
from workers.__main__ import serve
from workers.drain import Asked

#: The limits that differ, as JSON.
VARIABLE = "IMPATIENT_LIMITS"


def main(name: str) -> int:
    configure(name)
    settings = load(name)
    house = build_house(settings)
    changed = json.loads(os.environ[VARIABLE])
    house = replace(house, limits=replace(house.limits, **changed))
    asked = Asked(house.limits)
    asked.listen()
    return serve(name, settings, house, asked)


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stderr.flush()
    os._exit(code)
