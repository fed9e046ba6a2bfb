"""What Lambda starts: the managed runtime's entry script, as far as it can be seen from outside.

It puts the function and the layers in front of `sys.path`, runs their .pth files, and hands over to the runtime client.
"""

from __future__ import annotations

import os
import site
import sys

import awslambdaric.__main__ as runtime_client


def main() -> None:
    """Run the function."""
    task, opt = os.environ["LAMBDA_TASK_ROOT"], os.environ["TESTS_OPT"]
    site_packages = f"{opt}/python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    layers = [] if "PYTHONPATH" in os.environ else [site_packages, f"{opt}/python"]
    sys.path[:0] = [task, *layers]
    for folder in [task, *layers]:
        site.addsitedir(folder)
    os.environ.setdefault("PYTHONPATH", "/var/runtime")
    runtime_client.main([task, os.environ["_HANDLER"]])


if __name__ == "__main__":
    main()
