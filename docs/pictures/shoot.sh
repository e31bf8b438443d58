#!/usr/bin/env bash
# Take the picture of a run's report that README shows: docs/pictures/shoot.sh runs/<id>
# Needs a Chromium (CHROMIUM=path if it has another name); writes docs/pictures/report.png.
set -euo pipefail
run=${1:?expected a run folder, such as: docs/pictures/shoot.sh runs/20260101-120000-demo}
here=$(cd "$(dirname "$0")" && pwd)
page=$(cd "$run" && pwd)/report.html
[ -f "$page" ] || { echo "shoot: expected $page, found none; name a folder that run made" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${CHROMIUM:-chromium}" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
  --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
  --user-data-dir="$scratch/profile" --window-size="${SIZE:-1160,1240}" --virtual-time-budget=8000 \
  --screenshot="$scratch/report.png" "file://$page" 2>"$scratch/log" || { tail -n 3 "$scratch/log" >&2; exit 1; }
"$here/../../.venv/bin/python" - "$scratch/report.png" "$here/report.png" <<'PY'
import sys

from PIL import Image

seen = Image.open(sys.argv[1]).convert("RGB")
seen.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)
PY
size=$(wc -c <"$here/report.png")
echo "wrote docs/pictures/report.png ($size bytes)"
[ "$size" -lt 300000 ] || { echo "shoot: expected less than 300000 bytes; set SIZE=width,height" >&2; exit 1; }
