"""`python -m xray_lambda` is the command `xray-lambda`."""

from __future__ import annotations

import sys

from xray_lambda.cli import main

if __name__ == "__main__":
    sys.exit(main())
