#!/usr/bin/env bash
# A Chromium for the tests of pages: Debian's, installed if there is none and this is root.
set -euo pipefail

for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "browser: there is no Chromium here; install it, or run this as root on Debian" >&2
    exit 1
fi
echo "browser: installing Debian's chromium" >&2
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
