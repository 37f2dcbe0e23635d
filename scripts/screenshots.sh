#!/bin/sh
# docs/images anew: form, migration page and report of a real run in a real Airflow, by the browser lane's own walk.
set -eu
cd "$(dirname "$0")/.."
scripts/browser.sh
taken=.local/screenshots
rm -rf "$taken"
mkdir -p "$taken" docs/images
COA_SCREENSHOTS="$PWD/$taken" .venv/bin/python -m pytest -q tests/ui/test_browser.py -m "lane or not lane" \
    -k "test_a_run_is_watched_from_start_to_end or test_the_trigger_form_opens"
# 256 colours are enough for a page, and a third of the bytes.
.venv/bin/python - "$taken" form asking decision-390 loading verified report <<'END'
import sys
from PIL import Image

taken, *pictures = sys.argv[1:]
for name in pictures:
    picture = Image.open(f"{taken}/{name}.png").convert("RGB").quantize(256, dither=Image.Dither.NONE)
    picture.save(f"docs/images/{name}.png", optimize=True)
END
ls -l docs/images
