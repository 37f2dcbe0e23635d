#!/bin/sh
# docs/images anew: the migration page of a real run in a real Airflow, by the browser lane's own walk.
set -eu
cd "$(dirname "$0")/.."
scripts/browser.sh
taken=.local/screenshots
rm -rf "$taken"
mkdir -p "$taken" docs/images
COA_SCREENSHOTS="$PWD/$taken" .venv/bin/python -m pytest -q tests/ui/test_browser.py -m "lane or not lane" \
    -k "test_a_run_is_watched_from_start_to_end"
for picture in asking loading verified; do
    cp "$taken/$picture.png" "docs/images/$picture.png"
done
ls -l docs/images
