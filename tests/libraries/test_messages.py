"""Messages of databases keep their words and names, and lose the values that they quote."""

from __future__ import annotations

import pytest

from xray_lambda.libraries._messages import message_of, message_without_names

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        (f"Duplicate entry '{SECRET}' for key 'email'", "Duplicate entry ? for key 'email'"),
        (f"Duplicate entry 'O'{SECRET} for key' for key 'email'", "Duplicate entry ? for key 'email'"),
        (
            f"the right syntax to use near ''x' frm 'y' where name = '{SECRET}'' at line 1",
            "the right syntax to use near ? at line 1",
        ),
        (
            f"Incorrect integer value: '{SECRET}'s' for column `shop`.`t`.`id` at row 1",
            "Incorrect integer value: ? for column `shop`.`t`.`id` at row 1",
        ),
        (f"Truncated incorrect DOUBLE value: '{SECRET}'", "Truncated incorrect DOUBLE value: ?"),
        (f"a value cut off: '{SECRET}", "a value cut off: ?"),
        (f"Incorrect type of argument: str({SECRET}), it must be of", "Incorrect type of argument: str, it must be of"),
        (
            f'duplicate key value violates unique constraint "t_pkey"\nDETAIL:  Key (name)=({SECRET}) already exists.',
            'duplicate key value violates unique constraint "t_pkey"',
        ),
        (f"syntax error at or near \"x\"\nLINE 1: SELECT '{SECRET}' x\n       ^", "syntax error at or near ?"),
        (f'invalid input syntax for type integer: "{SECRET}"', "invalid input syntax for type integer: ?"),
        (
            f"invalid input for query argument $2 in element #0 of executemany() sequence: 41 (x {SECRET}... (no int)",
            "invalid input for query argument $2 in element #0 of executemany() sequence (no int)",
        ),
        ({"C": "42601", "M": f"near '{SECRET}'", "D": SECRET}, "near ?"),
        (f"near \"'{SECRET}'\": syntax error", "near ?: syntax error"),
        (f'invalid input syntax for type integer: "a" {SECRET} "b"', "invalid input syntax for type integer: ?"),
        (f"value \"it's\" {SECRET}' \" is out of range, doesn't fit", "value ? is out of range, doesn't fit"),
    ],
)
def test_a_quoted_value_is_left_out(said: object, recorded: str) -> None:
    assert message_of(ValueError(said)) == recorded


@pytest.mark.parametrize(
    "said",
    [
        "Access denied for user 'shop'@'localhost' (using password: YES)",
        "Can't connect to MySQL server on '127.0.0.1' ([Errno 111] Connection refused)",
        "Unknown column 'price'",
        "Table 'shop.orders' doesn't exist",
        'null value in column "id" of relation "orders" violates not-null constraint',
        "UNIQUE constraint failed: orders.id",
        'connection to server at "db.example" (10.0.0.7), port 5432 failed: FATAL:  role "shop" does not exist',
        'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: No such file or directory',
        "",
    ],
)
def test_names_are_kept(said: str) -> None:
    assert message_of(ValueError(said)) == said


def test_the_parts_of_an_exception_with_several_are_written_without_python_s_quotes() -> None:
    error = ValueError(1062, "Duplicate entry 'hunter2' for key 'email'", {"hunter2": 1})
    assert message_of(error) == "1062 Duplicate entry ? for key 'email'"


@pytest.mark.parametrize(
    ("said", "recorded"),
    [
        (f"unknown command 'SOT', with args: '{SECRET}' 'a'", "unknown command ?, with args: ? ?"),
        (f"unknown command `SOT`, with args: `{SECRET}`, `a`", "unknown command ?, with args: ?, ?"),
        (f"No such key '{SECRET}' or consumer group", "No such key ? or consumer group"),
        (
            f"Command # 2 (SET a ({SECRET})) of pipeline caused error: WRONGTYPE Operation",
            "Command # 2 of pipeline caused error: WRONGTYPE Operation",
        ),
    ],
)
def test_where_keys_are_values_too_nothing_that_is_quoted_stays(said: str, recorded: str) -> None:
    assert message_without_names(ValueError(said)) == recorded


def test_a_value_whose_end_is_not_read_is_left_out_to_the_end() -> None:
    said = f'invalid input syntax for type integer: "a" {SECRET} {"x" * 5000}"'
    assert message_of(ValueError(said)) == "invalid input syntax for type integer: ?"


def test_an_endless_message_is_read_in_part() -> None:
    assert len(message_of(ValueError("near 'x" * 100_000))) < 2000
