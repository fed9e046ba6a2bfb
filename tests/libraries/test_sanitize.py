"""SQL in a trace: no literal, no comment, in any dialect; names, placeholders and the shape of the statement stay."""

from __future__ import annotations

import pytest

from xray_lambda.libraries import _sanitize
from xray_lambda.libraries._sanitize import sanitized, without_literals

DIALECTS = ("postgresql", "mysql", "sqlite", "")

# What each dialect makes of a statement: (dialects, statement, what is shown).
EXAMPLES = [
    (DIALECTS, "SELECT name FROM users WHERE id = 17 AND name = 'Ann'",
     "SELECT name FROM users WHERE id = ? AND name = ?"),
    (DIALECTS, "SELECT  *\n\tFROM t\r\n WHERE a = ''  ;", "SELECT * FROM t WHERE a = ? ;"),
    (DIALECTS, "", ""),
    # Strings
    (DIALECTS, "SELECT 'it''s', 'x'", "SELECT ?, ?"),
    (DIALECTS, "SELECT X'00ff', b'01', N'x', x''", "SELECT ?, ?, ?, ?"),
    (("postgresql", ""), r"SELECT E'it\'s \\', e'' FROM t", "SELECT ?, ? FROM t"),
    (("postgresql",), r"SELECT U&'\0041' UESCAPE '!', U&'d!0061'", "SELECT ? UESCAPE ?, ?"),
    (("mysql",), r'''SELECT 'it\'s', "it\"s ""so""", '\\' FROM t''', "SELECT ?, ?, ? FROM t"),
    (("mysql",), "SELECT _utf8mb4'x', n'y'", "SELECT _utf8mb4?, ?"),
    (("sqlite",), r"SELECT 'C:\' FROM t WHERE a = 'x'", "SELECT ? FROM t WHERE a = ?"),
    (("postgresql", "sqlite", "mysql", ""), r"SELECT a LIKE %s ESCAPE '\' AND b = 'x'",
     "SELECT a LIKE %s ESCAPE ? AND b = ?"),
    (("postgresql",), "SELECT $$it's$$, $a$x $$ y$a$, $ä$x$ä$ FROM t", "SELECT ?, ?, ? FROM t"),
    # Strings that can be read in two ways hide all the rest
    (("postgresql", ""), r"SELECT 'a\' FROM t WHERE b = 'c'", "SELECT ?"),
    (("",), "SELECT '''a' FROM t", "SELECT ?"),
    (("",), "SELECT q'[it's]' FROM t", "SELECT ?"),
    (("",), "SELECT a FROM t -- it's\n", "SELECT a FROM t"),
    (("",), "SELECT a FROM t --it's\n", "SELECT a FROM t ?"),
    (("",), "SELECT a FROM t # it's\n WHERE a = 'x'", "SELECT a FROM t ?"),
    (("",), "SELECT a FROM [it's] WHERE a = 'x'", "SELECT a FROM ?"),
    (("",), "SELECT a FROM [b-c/d], [e--f] WHERE a = 'x'", "SELECT a FROM [b-c/d], ?"),
    (("",), "SELECT [a]]b'c] FROM t WHERE a = 'x'", "SELECT [a?"),
    (("", "mysql"), "SELECT a, $$it's$$, 'x' FROM t", "SELECT a, ?"),
    (("", "mysql"), "SELECT 1 /*! it's */ + 'x'", "SELECT ? ?"),
    # Strings that never end
    (DIALECTS, "SELECT a FROM t WHERE b = 'c AND d = 1", "SELECT a FROM t WHERE b = ?"),
    (("postgresql",), "SELECT $a$ b $c$", "SELECT ?"),
    (("postgresql", "sqlite", ""), 'SELECT a FROM "b', "SELECT a FROM ?"),
    (("postgresql", "sqlite", ""), 'SELECT a FROM "b""c', "SELECT a FROM ?"),
    (("mysql", "sqlite", ""), "SELECT a FROM `b", "SELECT a FROM ?"),
    (("sqlite",), "SELECT a FROM [b", "SELECT a FROM ?"),
    # Numbers
    (DIALECTS, "SELECT 1, 1.5, .5, 1e10, 1.5E-3, 0xFF, 1_000, 1abc", "SELECT ?, ?, ?, ?, ?, ?, ?, ?"),
    (DIALECTS, "SELECT -1, a = -1.5, a - 1, a-1, (-1)", "SELECT -?, a = ?, a - ?, a-?, (?)"),
    (DIALECTS, "SELECT t1.c2 FROM db1.t1 WHERE c3=4", "SELECT t1.c2 FROM db1.t1 WHERE c3=?"),
    (("postgresql",), "SELECT a[1:2], b[:3], c::int, d->>'k', e #> '{a,1}'",
     "SELECT a[?:?], b[:?], c::int, d->>?, e #> ?"),
    # Placeholders
    (DIALECTS, "SELECT ?, %s, %(name)s, :name, :1, @p1", "SELECT ?, %s, %(name)s, :name, :1, @p1"),
    (("postgresql", "sqlite"), "SELECT $1, $22", "SELECT $1, $22"),
    (("sqlite",), "SELECT ?1, @2, $name", "SELECT ?1, @2, $name"),
    (("mysql", ""), "SELECT $123, ?45, @67", "SELECT $?, ??, @?"),
    # Names
    (("postgresql",), 'SELECT "a ""b"" 1".U&"c" FROM "it\'s"', 'SELECT "a ""b"" 1".U&"c" FROM "it\'s"'),
    (("mysql",), "SELECT `it's`.`a``b` FROM `t 1`", "SELECT `it's`.`a``b` FROM `t 1`"),
    (("sqlite",), "SELECT [it's 1], `it's` FROM t", "SELECT [it's 1], `it's` FROM t"),
    (("",), "SELECT [a].[b] FROM dbo.[t]", "SELECT [a].[b] FROM dbo.[t]"),
    (DIALECTS, "SELECT größe, 数 FROM tä$1", "SELECT größe, 数 FROM tä$1"),
    # Comments
    (DIALECTS, "/* it's */ SELECT 1 -- it's\n + a /* b */", "SELECT ? + a"),
    (DIALECTS, "SELECT /*+ INDEX(t i) */a/**/FROM t", "SELECT a FROM t"),
    (("mysql",), "SELECT a # it's\n FROM t -- it's", "SELECT a FROM t"),
    (("mysql",), "SELECT 5--1, 5--'it'", "SELECT ?--?, ?--?"),
    (("mysql",), "/*!40101 SET NAMES utf8 */ SELECT 1", "SELECT ?"),
    (("postgresql",), "SELECT a /* b /* 'c' */ ' */ FROM t", "SELECT a FROM t"),
    (("sqlite", "mysql"), "SELECT a /* b /* 'c' */ FROM t", "SELECT a FROM t"),
    (("",), "SELECT a /* b /* 'c' */ FROM t", "SELECT a ?"),
    (("postgresql", "sqlite", "mysql"), "SELECT a /* never ends", "SELECT a"),
    (("postgresql",), "SELECT a -- b\r'c' FROM t", "SELECT a ? FROM t"),
    # Lists
    (DIALECTS, "SELECT 1 WHERE a IN (1, 2,3) AND b IN(%s,%s)", "SELECT ? WHERE a IN (?) AND b IN(%s)"),
    (DIALECTS, "INSERT INTO t (a, b) VALUES (1, 'x'), (2, NULL), (3, 'y'), (4, 'z')",
     "INSERT INTO t (a, b) VALUES (?, ?), (?, NULL), (?, ?)"),
    (DIALECTS, "VALUES (%(a__0)s, %(b__0)s), (%(a__1)s, %(b__1)s)", "VALUES (%(a__0)s, %(b__0)s)"),
    (("postgresql",), "VALUES ($1, $2), ($3, $4)", "VALUES ($1, $2)"),
    (("postgresql",), "SELECT ARRAY[1, 2, 3], f(1, 2)", "SELECT ARRAY[?], f(?, ?)"),
    # Passwords and data that are no strings
    (DIALECTS, "CREATE USER ann PASSWORD 'hunter2'", "CREATE USER ann PASSWORD ?"),
    (DIALECTS, "ALTER USER ann IDENTIFIED BY hunter#2 REPLACE old1 ACCOUNT UNLOCK",
     "ALTER USER ann IDENTIFIED BY ? REPLACE ? ACCOUNT UNLOCK"),
    (DIALECTS, "GRANT ALL ON t TO ann IDENTIFIED BY 'hunter2'; SELECT replace(a, b)",
     "GRANT ALL ON t TO ann IDENTIFIED BY ?; SELECT replace(a, b)"),
    (DIALECTS, 'CREATE USER ann identified /**/ by "Hunter 2"', "CREATE USER ann identified by ?"),
    (DIALECTS, "COPY t (a, b) FROM stdin WITH (DELIMITER ';');\n1;Ann\n\\.\n",
     "COPY t (a, b) FROM stdin WITH (DELIMITER ?); ?"),
    (DIALECTS, "COPY t (a, b) FROM STDIN;", "COPY t (a, b) FROM STDIN;"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "statement", "shown"),
    [(dialect, statement, shown) for dialects, statement, shown in EXAMPLES for dialect in dialects],
)
def test_an_example_is_shown_without_its_literals(dialect: str, statement: str, shown: str) -> None:
    assert sanitized(statement, dialect) == shown
    assert sanitized(shown, dialect) == shown


# To SQLite, "x" is a string where nothing is called x.
QUOTED = [
    # as Django writes
    (('SELECT "shop_item"."id", COUNT(*) AS "__count" FROM "shop_item" INNER JOIN "shop_cart" ON '
      '("shop_item"."cart_id" = "shop_cart"."id") WHERE ("shop_item"."name" LIKE %s ESCAPE \'\\\' AND NOT '
      '("shop_item"."price" > 5)) ORDER BY "shop_item"."name" ASC LIMIT 21'),
     ('SELECT "shop_item"."id", COUNT(*) AS "__count" FROM "shop_item" INNER JOIN "shop_cart" ON '
      '("shop_item"."cart_id" = "shop_cart"."id") WHERE ("shop_item"."name" LIKE %s ESCAPE ? AND NOT '
      '("shop_item"."price" > ?)) ORDER BY "shop_item"."name" ASC LIMIT ?')),
    ('INSERT INTO "shop_item" ("name", "price") VALUES (%s, %s) RETURNING "shop_item"."id"',
     'INSERT INTO "shop_item" ("name", "price") VALUES (%s, %s) RETURNING "shop_item"."id"'),
    ('UPDATE "shop_item" SET "name" = %s, "price" = ("shop_item"."price" + 1) WHERE "shop_item"."id" = 3',
     'UPDATE "shop_item" SET "name" = %s, "price" = ("shop_item"."price" + ?) WHERE "shop_item"."id" = ?'),
    (('CREATE TABLE IF NOT EXISTS "shop_item" ("id" integer NOT NULL PRIMARY KEY, "name" varchar(20) NOT NULL UNIQUE, '
      'CHECK ("price" >= 0), FOREIGN KEY ("cart_id") REFERENCES "shop_cart" ("id"))'),
     ('CREATE TABLE IF NOT EXISTS "shop_item" ("id" integer NOT NULL PRIMARY KEY, "name" varchar(?) NOT NULL UNIQUE, '
      'CHECK ("price" >= ?), FOREIGN KEY ("cart_id") REFERENCES "shop_cart" ("id"))')),
    ('CREATE UNIQUE INDEX "a_b" ON "t" ("a", "b")', 'CREATE UNIQUE INDEX "a_b" ON "t" ("a", "b")'),
    ('SAVEPOINT "s1_x1"', 'SAVEPOINT "s1_x1"'),
    # as others write
    ('SELECT "name", "id" FROM "user" WHERE "name"=? AND "age" BETWEEN 1 AND 2',
     'SELECT "name", "id" FROM "user" WHERE "name"=? AND "age" BETWEEN ? AND ?'),
    ('INSERT INTO t ("a") VALUES (1) ON CONFLICT ("a") DO UPDATE SET "b" = 2',
     'INSERT INTO t ("a") VALUES (?) ON CONFLICT ("a") DO UPDATE SET "b" = ?'),
    ('WITH "x y" ("a") AS (SELECT "a" FROM "order items") SELECT "a" AS "the a" FROM "x y"',
     'WITH ? ("a") AS (SELECT "a" FROM "order items") SELECT "a" AS "the a" FROM "x y"'),
    # values
    ('SELECT a FROM t WHERE b = "x" OR "c" <> "x" OR d LIKE "x" OR e IS NOT "x" OR f IN ("x", "y")',
     'SELECT a FROM t WHERE b = ? OR "c" <> ? OR d LIKE ? OR e IS NOT ? OR f IN (?)'),
    ('INSERT INTO "t" ("a", "b") VALUES ("x", lower("y")), ("x", "y")',
     'INSERT INTO "t" ("a", "b") VALUES (?, lower(?)), (?, ?)'),
    ('SELECT lower("x"), CASE "x" WHEN "y" THEN "z" ELSE "w" END, "x y" FROM t WHERE "b" BETWEEN "x" AND "y"',
     'SELECT lower(?), CASE ? WHEN ? THEN ? ELSE ? END, ? FROM t WHERE "b" BETWEEN ? AND ?'),
    ('UPDATE t SET "a" = "x", "b" = ("y"), c = d || "x" WHERE (("a") = ("x"))',
     'UPDATE t SET "a" = ?, "b" = (?), c = d || ? WHERE (("a") = (?))'),
    ('CREATE TABLE t ("a" text DEFAULT "x", "b" text DEFAULT ("x"))',
     'CREATE TABLE t ("a" text DEFAULT ?, "b" text DEFAULT (?))'),
    ('SELECT 1 FROM t WHERE a = "never ends', "SELECT ? FROM t WHERE a = ?"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "shown"), QUOTED)
def test_double_quoted_text_is_shown_where_it_is_a_name(statement: str, shown: str) -> None:
    assert sanitized(statement, "sqlite") == shown
    assert sanitized(shown, "sqlite") == shown


def test_double_quoted_text_of_an_unknown_dialect_is_shown_where_it_can_be_no_string() -> None:
    statement = 'SELECT "t"."a", "b" AS "the b" FROM "t" JOIN "u v" WHERE "c" = "d"'
    assert sanitized(statement) == 'SELECT "t"."a", ? AS "the b" FROM "t" JOIN "u v" WHERE ? = ?'


@pytest.mark.parametrize(("name", "same_as"), [("mariadb", "mysql"), ("cockroachdb", "postgresql"), ("oracle", "")])
def test_a_dialect_is_known_by_other_names_and_an_unknown_one_is_read_with_care(name: str, same_as: str) -> None:
    statement = "SELECT \"a\", $1, '\\', 'x' FROM #t"
    assert sanitized(statement, name) == sanitized(statement, same_as)


def test_a_literal_that_the_cut_splits_stays_hidden_and_so_does_what_lies_behind() -> None:
    start = "SELECT " + "a, " * 3000
    for literal in ("'{}'", '"{}"', "$$ {} $$", "/* {} */", "-- {}", "IDENTIFIED BY {}"):
        for shift in range(12):
            text = start + "x" * (10_000 - len(start) - shift) + " " + literal.format("hunter2" * 2000) + " hunter2"
            for dialect in ("mysql",) if '"' in literal else ("postgresql", "mysql"):
                shown = sanitized(text, dialect)
                assert "hunter2" not in shown
                assert len(shown) <= 10_000


@pytest.mark.full
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "part",
    ["'", '"', "`", "[", "$", "$a", "$a$", "/*", "*/", "-", "--", "#", "\\", "\\'", "''", "'a", "(", "(?, ", "(?), ",
     ",", "e'\\", "a", "1", ".", " ", "\n", "IN (?, ?", "é", "x'", "\x00", '"a" ', ":1 ", "%(a)s, ", "(%(a", "/", "*",
     'a."b"('],
)  # fmt: skip
def test_hundreds_of_kilobytes_take_linear_time(dialect: str, part: str) -> None:
    """One that is quadratic runs into the time-out of the whole test run."""
    many = part * (200_000 // len(part))
    for text in (many, f"SELECT '{many}"):
        assert len(without_literals(text, dialect)) <= len(text)


def test_of_megabytes_only_the_beginning_is_read() -> None:
    assert sanitized("SELECT 'x', " + "y" * 20_000_000, "postgresql") == "SELECT ?, " + "y" * 9_988


def test_what_is_remembered_is_bounded() -> None:
    _sanitize._remembered.cache_clear()
    for number in range(500):
        sanitized(f"SELECT a{number}")
        sanitized(f"SELECT a{number}" + "x" * 2000)
    assert _sanitize._remembered.cache_info().currsize <= 256


def test_a_subclass_of_str_is_read_as_the_text_it_is() -> None:
    class Odd(str):
        __slots__ = ()
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __str__(self) -> str:
            raise AssertionError

    assert sanitized(Odd("SELECT 1"), "sqlite") == "SELECT ?"
