#!/bin/sh
# Headless Chromium for the tests marked `browser`: Debian's package, where it is missing and may be installed.
# The tests are skipped, with the reason, where there is none.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "No Chromium here: install it to run the browser tests (Debian: apt-get install chromium)." >&2
    exit 0
fi
echo "Chromium for the browser tests: Debian's package" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
