"""Flask-SQLAlchemy: nothing of its own is needed: it makes SQLAlchemy's engines and sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from tests.libraries.databases import statements
from xray_lambda import patch, subsegment
from xray_lambda.testing import capture

if TYPE_CHECKING:
    from pathlib import Path

    from xray_lambda.testing import Traces

SECRET = "hunter2-in-a-value"


@pytest.fixture
def app(tmp_path: Path) -> Any:
    """A Flask app with a table of orders, and a page that counts them."""
    db: Any = SQLAlchemy()

    class Order(db.Model):  # type: ignore[misc]
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40), unique=True)

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path}/shop.db"
    app.config["SQLALCHEMY_BINDS"] = {"other": f"sqlite:///{tmp_path}/other.db"}
    db.init_app(app)

    @app.route("/")
    def page() -> str:
        with subsegment("page"):
            db.session.add(Order(name=SECRET))
            db.session.commit()
            db.session.execute(db.text("SELECT 1"), bind_arguments={"bind": db.engines["other"]})
            return str(db.session.query(Order).count())

    with app.app_context(), capture(header=None):
        db.create_all()
    return app


def test_its_sessions_record_each_statement_once_and_name_each_database(app: Flask, xray: Traces) -> None:
    patch("flask_sqlalchemy", "sqlite3")
    assert app.test_client().get("/").data == b"1"
    names = [
        child.name for child in xray.one.children if child.document["sql"]["sanitized_query"][:6] in "INSERT SELECT"
    ]
    assert names == ["shop.db", "other.db", "shop.db"]
    assert [one.partition(" ")[0] for one in statements(xray) if not one.startswith("PRAGMA")] == [
        "INSERT", "SELECT", "SELECT",
    ]  # fmt: skip
    assert SECRET not in str(xray.documents)


def test_an_error_in_a_request_is_recorded_and_passes_on(app: Flask, xray: Traces) -> None:
    patch("sqlalchemy")
    app.testing = True
    client = app.test_client()
    client.get("/")
    with pytest.raises(Exception, match="UNIQUE constraint failed") as caught:
        client.get("/")
    assert type(caught.value).__name__ == "IntegrityError"
    [failed] = [child for root in xray.roots for child in root.children if child.flags]
    assert failed.exceptions[0]["message"] == "(sqlite3.IntegrityError) UNIQUE constraint failed: order.name"
    assert SECRET not in str(xray.documents)
