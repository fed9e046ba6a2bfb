#!/usr/bin/env bash
# Builds the Lambda layer, dist/xray-lambda-layer.zip: ./build.sh [--arch arm64] [--python 3.13]
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
for python in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3.10 python3; do
    if [ -n "$python" ] && "$python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
        exec "$python" "$here/layer/build.py" "$@"
    fi
done
echo "./build.sh: Python 3.10 or newer with pip is needed" >&2
exit 1
