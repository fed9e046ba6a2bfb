"""patch_modules: wherever modules lie and however they are imported, they are traced, and imports go on as before."""

from __future__ import annotations

import copy
import gc
import importlib.util
import os
import site
import subprocess
import sys
import threading
import weakref
import zipfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import xray_lambda
from tests.libraries.programs import load, modules_forgotten, write
from xray_lambda import patch_modules, unpatch_modules
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRICE = "def price(): return 7\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder to write modules to."""
    with modules_forgotten():
        yield tmp_path
        unpatch_modules()


@pytest.fixture
def shop(folder: Path) -> Path:
    """The packages of a shop, found on `sys.path`."""
    sys.path.insert(0, str(folder))
    return write(
        folder,
        shop="def open_(): pass",
        shop__orders="from shop.pricing import tax\ndef price(): return tax.rate()",
        shop__pricing="def quote(): pass",
        shop__pricing__tax="def rate(): return 7",
        shop__pricing__old__tax="def rate(): return 6",
        shopping="def bag(): pass",
    )


def is_traced(function: Callable[..., Any]) -> bool:
    with capture() as traces:
        function()
        return [root.name for root in traces.roots] == [function.__qualname__]


def traced_in(*names: str) -> set[str]:
    """The modules, of these, in which the functions are traced; all are imported."""
    modules = {name: load(name) for name in names}
    functions = {name: [one for one in vars(module).values() if callable(one)] for name, module in modules.items()}
    return {name for name in names if is_traced(functions[name][0])}


ALL = ("shop", "shop.orders", "shop.pricing", "shop.pricing.tax", "shop.pricing.old.tax", "shopping")


@pytest.mark.parametrize(
    ("names", "traced"),
    [
        (["shop"], {"shop"}),
        (["shop.orders", "shopping"], {"shop.orders", "shopping"}),
        (["shop.*"], {*ALL} - {"shopping"}),
        (["shop.pricing.*"], {"shop.pricing", "shop.pricing.tax", "shop.pricing.old.tax"}),
        (["shop.*.tax"], {"shop.pricing.tax", "shop.pricing.old.tax"}),
        (["shop*"], {*ALL}),
        (["shop.pric*", "shop.nothing.*"], {"shop.pricing", "shop.pricing.tax", "shop.pricing.old.tax"}),
    ],
)
@pytest.mark.parametrize("first", ["patch", "import"])
def test_a_name_is_that_module_and_a_pattern_all_that_it_matches(
    shop: Path, names: list[str], traced: set[str], first: str
) -> None:
    if first == "patch":
        patch_modules(*names)
        assert not {*ALL} & {*sys.modules}
    for name in ALL:
        load(name)
    patch_modules(*names)
    assert traced_in(*ALL) == traced


def test_an_ignored_package_is_ignored_with_all_below_it(shop: Path) -> None:
    patch_modules("shop.*", ignore="shop.pricing")
    assert traced_in(*ALL) == {"shop", "shop.orders"}


@pytest.mark.parametrize("layout", ["site-packages", "src", "editable", "zip", "namespace", "relative", "elsewhere"])
def test_modules_are_found_wherever_python_finds_them(
    folder: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer looks for a file below the current directory, and finds none of these."""
    monkeypatch.chdir("/")
    if layout == "zip":
        with zipfile.ZipFile(folder / "shop.zip", "w") as archive:
            archive.writestr("shop/__init__.py", "")
            archive.writestr("shop/orders.py", PRICE)
        sys.path.insert(0, str(folder / "shop.zip"))
    elif layout == "editable":
        write(folder / "src", shop="", shop__orders=PRICE)
        (folder / "shop.pth").write_text(str(folder / "src"))
        site.addsitedir(str(folder))
    elif layout == "namespace":
        write(folder / "one", shop__orders=PRICE)
        (folder / "one" / "shop" / "__init__.py").unlink(missing_ok=True)
        write(folder / "two", shop__other=PRICE)
        (folder / "two" / "shop" / "__init__.py").unlink(missing_ok=True)
        sys.path[:0] = [str(folder / "one"), str(folder / "two")]
    else:
        write(folder / layout, shop="", shop__orders=PRICE)
        sys.path.insert(0, str(folder / layout))
        if layout == "relative":
            monkeypatch.chdir(folder)
            sys.path[0] = layout
    patch_modules("shop.*")
    orders = load("shop.orders")
    assert is_traced(orders.price)
    assert orders.__spec__.loader is orders.__loader__
    assert type(orders.__loader__).__module__ in ("_frozen_importlib_external", "zipimport")


def test_an_installed_distribution_is_traced_like_any_other_module(folder: Path) -> None:
    """A real environment of its own, with a program in the folder and a library that was installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    [packages] = (folder / "env").glob("lib/python*/site-packages")
    write(packages, shop="", shop__orders=PRICE)
    information = packages / "shop-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (packages / "ours.pth").write_text(str(Path(xray_lambda.__file__).parent.parent))
    program = """
from importlib.metadata import version
from xray_lambda import patch_modules
from xray_lambda.testing import capture
patch_modules("shop.*")
from shop.orders import price
with capture() as traces:
    price()
print(version("shop"), traces.one.name)
"""
    done = subprocess.run(
        [folder / "env" / "bin" / "python", "-I", "-c", program], cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("1.0 price\n", "")


def test_what_another_module_has_taken_before_stays_untraced(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(folder, early="from prices import price", prices=PRICE, late="from prices import price")
    early = load("early")
    patch_modules("prices")
    assert not is_traced(early.price)
    assert is_traced(load("prices").price)
    assert is_traced(load("late").price)


def test_a_package_may_have_itself_traced_in_the_middle_of_its_import(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(
        folder,
        shop="""
            from xray_lambda import patch_modules
            def above(): pass
            patch_modules("shop.*")
            from shop import orders
            def below(): pass
        """,
        shop__orders=PRICE,
    )
    shop = load("shop")
    assert [is_traced(one) for one in (shop.above, shop.below, shop.orders.price)] == [True, True, True]
    assert type(shop.__spec__) is type(os.__spec__)


def test_an_import_that_another_thread_has_begun_is_traced_at_its_end(folder: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    sys.path.insert(0, str(folder))
    vars(threading)["_test_events"] = (begun, go_on)
    write(
        folder,
        slow="""
            import threading
            begun, go_on = threading._test_events
            begun.set()
            assert go_on.wait(30)
            def price(): return 7
        """,
    )
    importing = threading.Thread(target=load, args=("slow",))
    importing.start()
    assert begun.wait(30)
    patch_modules("slow")
    assert not hasattr(sys.modules["slow"], "price")
    go_on.set()
    importing.join()
    del vars(threading)["_test_events"]
    assert is_traced(load("slow").price)


def test_modules_that_import_each_other_are_traced(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(
        folder,
        hen="import egg\ndef lay(): return egg.hatch.__name__",
        egg="import hen\ndef hatch(): return hen.lay()",
    )
    patch_modules("hen", "egg")
    with capture() as traces:
        assert load("egg").hatch() == "hatch"
        assert traces.one.names() == ("hatch", [("lay", [])])


def test_a_module_that_is_loaded_anew_is_traced_anew(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(folder, shop=PRICE)
    patch_modules("shop")
    shop = load("shop")
    before = shop.price
    assert importlib.reload(shop) is shop
    assert shop.price is not before
    assert is_traced(shop.price)
    del sys.modules["shop"]
    again = load("shop")
    assert again is not shop
    assert is_traced(again.price)
    assert again.__spec__.loader is again.__loader__


def test_the_main_module_is_traced_as_far_as_it_has_come(folder: Path) -> None:
    program = folder / "program.py"
    program.write_text(
        "from xray_lambda import patch_modules\n"
        "from xray_lambda.testing import capture\n"
        "def price(): return 7\n"
        "patch_modules('__main__')\n"
        "def later(): return 7\n"
        "with capture() as traces:\n"
        "    price(), later()\n"
        "print([root.name for root in traces.roots])\n"
    )
    environ = {"PYTHONPATH": str(Path(xray_lambda.__file__).parent.parent)}
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, env=environ, check=False)
    assert (done.stdout, done.stderr) == ("['price']\n", "")


def test_a_module_with_a_getattr_of_its_own_is_asked_for_nothing(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(
        folder,
        shop="asked = []\ndef __getattr__(name):\n    asked.append(name)\n    raise AttributeError(name)\n" + PRICE,
    )
    patch_modules("shop")
    shop = load("shop")
    assert is_traced(shop.price)
    assert set(shop.asked) <= {"__path__"}  # the import system's own question


def test_a_module_that_puts_something_else_in_its_place_is_traced(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(
        folder,
        shop="""
            import sys
            class Shop:
                __slots__ = ()
                def price(self): return 7
            sys.modules[__name__] = Shop()
        """,
    )
    patch_modules("shop")
    assert is_traced(load("shop").price)
    patch_modules("sho*")
    assert is_traced(load("shop").price)


def test_what_cannot_be_imported_cannot_be_imported_as_before(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(folder, shop="", shop__broken="raise ZeroDivisionError('mine')", shop__wrong="def f(:", shop__orders=PRICE)
    patch_modules("shop.*")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="mine") as raised:
            load("shop.broken")
        with pytest.raises(SyntaxError):
            load("shop.wrong")
        with pytest.raises(ModuleNotFoundError, match=r"No module named 'shop\.missing'"):
            load("shop.missing")
    assert raised.value.__context__ is None
    assert is_traced(load("shop.orders").price)
    write(folder, shop__broken=PRICE)
    assert is_traced(load("shop.broken").price)


def test_looking_for_a_module_imports_nothing_and_finds_its_loader(shop: Path) -> None:
    patch_modules("shop.*", "shopping")
    spec = importlib.util.find_spec("shopping")
    assert spec is not None
    assert spec.origin == str(shop / "shopping.py")
    assert "def bag" in spec.loader.get_source("shopping")  # type: ignore[union-attr]
    assert spec.loader.path == str(shop / "shopping.py")  # type: ignore[union-attr]
    assert "shopping" not in sys.modules
    assert copy.copy(spec.loader).name == "shopping"  # type: ignore[union-attr]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        spec.loader.nothing  # type: ignore[union-attr]  # noqa: B018
    by_hand = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(by_hand)  # type: ignore[union-attr]
    assert is_traced(by_hand.bag)
    assert "shopping" not in sys.modules


def lazily(name: str) -> Any:
    """Import a module as `importlib.util.LazyLoader` is meant to be used."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class LazyFinder:
    """Has every module of a folder loaded when it is first used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        file = self._folder / f"{name}.py"
        if not file.exists():
            return None
        spec: Any = importlib.util.spec_from_file_location(name, file)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@pytest.mark.parametrize("way", ["by hand", "by a finder", "before"])
def test_a_lazy_module_is_loaded_when_the_program_uses_it_and_traced_then(folder: Path, way: str) -> None:
    write(folder, shop="import lazily_loaded\n" + PRICE, lazily_loaded="")
    if way == "by a finder":
        sys.meta_path.insert(0, LazyFinder(folder))
        patch_modules("shop")
        shop = load("shop")
    elif way == "by hand":
        sys.path.insert(0, str(folder))
        patch_modules("shop")
        shop = lazily("shop")
    else:
        sys.path.insert(0, str(folder))
        shop = lazily("shop")
        patch_modules("shop")
    assert "lazily_loaded" not in sys.modules
    assert is_traced(shop.price)
    assert "lazily_loaded" in sys.modules
    assert type(shop) is ModuleType


def test_what_a_finder_finds_that_has_come_since_is_traced_too(folder: Path) -> None:
    write(folder, shop=PRICE)
    patch_modules("desk")
    sys.meta_path.insert(0, LazyFinder(folder))
    patch_modules("shop")
    assert is_traced(load("shop").price)
    assert [type(finder).__name__ for finder in sys.meta_path].count("_Finder") == 1


def test_builtin_frozen_and_c_modules_load_as_before() -> None:
    names = [
        "_xxsubinterpreters",
        "__hello__",
        "_sha1",
        "_queue",
        "_bisect",
        "_lsprof",
        "_zoneinfo",
        "xxlimited",
    ]
    names = [name for name in names if importlib.util.find_spec(name) and name not in sys.modules]
    assert names
    patch_modules(*names)
    for name in names:
        load(name)


def test_modules_that_share_a_loader_are_imported_side_by_side(folder: Path) -> None:
    with zipfile.ZipFile(folder / "shop.zip", "w") as archive:
        for number in range(20):
            archive.writestr(f"zipped{number}.py", f"import zipped{number + 1}\n{PRICE}" if number % 2 else PRICE)
        archive.writestr("zipped20.py", PRICE)
    sys.path.insert(0, str(folder / "shop.zip"))
    patch_modules("zipped*")
    threads = [threading.Thread(target=load, args=(f"zipped{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(is_traced(load(f"zipped{number}").price) for number in range(21))


def test_the_program_is_patched_while_threads_import(folder: Path) -> None:
    """Imports succeed, and nothing is traced twice; what was being looked for at that moment may need a second call."""
    sys.path.insert(0, str(folder))
    count = 30
    write(folder, **{f"side{number}": PRICE for number in range(count)})
    together = threading.Barrier(3)

    def import_all(order: int) -> None:
        together.wait()
        for number in [*range(count)][::order]:
            load(f"side{number}")

    threads = [threading.Thread(target=import_all, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    together.wait()
    for number in range(count):
        patch_modules(f"side{number}")
    for thread in threads:
        thread.join()
    patch_modules("side*")
    for number in range(count):
        with capture() as traces:
            load(f"side{number}").price()
            assert traces.one.names() == ("price", [])


def test_nothing_is_imported_to_be_traced(shop: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(shop)!r})
from xray_lambda import patch_modules
before = set(sys.modules)
patch_modules("shop.*", "shopping", "json.*", "email.*", ignore="shop.orders")
print(sorted(set(sys.modules) - before))
"""
    environ = {"PYTHONPATH": str(Path(xray_lambda.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environ, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_forked_child_traces_what_it_imports(shop: Path) -> None:
    patch_modules("shop.*")
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, b"traced" if is_traced(load("shop").open_) else b"not traced")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 100) == b"traced"
    os.close(reader)


def test_a_module_that_the_program_drops_is_kept_by_nothing(folder: Path) -> None:
    sys.path.insert(0, str(folder))
    write(folder, shop=f"{PRICE}class Order:\n    @staticmethod\n    def total(): return 8\n")
    patch_modules("shop")
    shop = load("shop")
    dropped = [weakref.ref(one) for one in (shop, shop.price, shop.price.__wrapped__, shop.Order, shop.Order.total)]
    del sys.modules["shop"], shop
    gc.collect()
    assert [one() for one in dropped] == [None] * 5
