"""What the layer's build puts behind the package's `__init__`: modules are loaded out of one file."""

from __future__ import annotations

import marshal
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import _fix_co_filename  # type: ignore[attr-defined]  # as importlib itself does

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType


def _take_modules_from_bundle(folder: str) -> None:
    """Find and open one file instead of 25, which costs a cold start as much as running what is in them.

    Where it is missing, or another Python's, the modules are loaded from their sources.
    """
    name = f"{folder}/_bundle.{sys.implementation.cache_tag}"
    try:
        with open(name, "rb", buffering=0) as file:
            # The code's own start; then, how long the table is, and all that a cold start loads with it.
            head = file.read(12)
            if head[:4] != MAGIC_NUMBER:
                return
            table_size, read_size = int.from_bytes(head[4:8], "little"), int.from_bytes(head[8:], "little")
            content = file.read(read_size)
    except OSError:
        return
    # By module: its path below the folder, and where its code lies in what comes behind the head.
    table: dict[str, tuple[str, int, int]] = marshal.loads(content[:table_size])
    code_of = memoryview(content)

    def _later(first: int, last: int) -> bytes:
        with open(name, "rb", buffering=0) as file:
            file.seek(12 + first)
            return file.read(last - first)

    class Loader(SourceFileLoader):
        """Loads as ever, but for where the code comes from."""

        def get_code(self, fullname: str) -> CodeType:
            _, first, last = table[fullname]
            code: CodeType = marshal.loads(code_of[first:last] if last <= read_size else _later(first, last))
            if code.co_filename != self.path:
                _fix_co_filename(code, self.path)
            return code

        def exec_module(self, module: ModuleType) -> None:
            """Run the code; where it lies is put down here, since importlib would look for byte code beside it."""
            module.__file__ = self.path
            exec(self.get_code(self.name), module.__dict__)  # noqa: S102 - this is what loading is

    class Finder:
        """Finds what the bundle has."""

        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            if name not in table:
                return None
            file = f"{folder}/{table[name][0]}"
            spec = ModuleSpec(name, Loader(name, file), origin=file)
            if file.endswith("/__init__.py"):
                spec.submodule_search_locations = [file[: -len("/__init__.py")]]
            return spec

    sys.meta_path.insert(0, Finder)


_take_modules_from_bundle(__file__.rpartition("/")[0])
