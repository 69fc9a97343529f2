"""`python -m worker.dev.demo.send_one`: sends one shipped spec with plain Celery and prints its results."""

import json
import os
import sys

from celery import Celery

from worker.dev.demo.specs import load_specs

_WAIT_SECONDS = 60


def main() -> None:
    """Send the spec whose number is the first argument (default 0) to SLOTGEN_REDIS_URL."""
    url = os.environ.get("SLOTGEN_REDIS_URL")
    if not url:
        sys.exit("SLOTGEN_REDIS_URL is not set; export the one that `slotgen dev` shows")
    specs = load_specs()
    number = sys.argv[1] if len(sys.argv) > 1 else "0"
    if not number.isdigit() or int(number) >= len(specs):
        sys.exit(f"there is no spec {number!r}; give a number from 0 to {len(specs) - 1}")
    app = Celery(broker=url, backend=url, set_as_current=False)
    answer = app.send_task("slotgen.generate", args=[specs[int(number)]], queue="slotgen")
    json.dump(answer.get(timeout=_WAIT_SECONDS), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
