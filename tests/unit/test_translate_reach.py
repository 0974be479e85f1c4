"""Hosts and ports, as far as a database's uri tells them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.translate.reach import destinations, is_file, is_host, is_this_machine


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("postgresql://db.example.org/x", [("db.example.org", 5432)]),
        ("postgresql+psycopg2://u:p@db.example.org:5433/x", [("db.example.org", 5433)]),
        ("postgresql://u:p%2Fw%40x@DB.example.org/x", [("db.example.org", 5432)]),
        ("postgresql://a.example:1,b.example:2/x", [("a.example", 1), ("b.example", 2)]),
        ("mysql+pymysql://db/x", [("db", 3306)]),
        ("mariadb://db", [("db", 3306)]),
        ("mssql+pyodbc://u:p@db/x?driver=ODBC", [("db", 1433)]),
        ("jdbc:postgresql://db.example.org:6432/x", [("db.example.org", 6432)]),
        ("jdbc:sqlserver://db.example.org:1500;databaseName=x", [("db.example.org", 1500)]),
        ("http://sparql.example.org/query", [("sparql.example.org", 80)]),
        ("https://sparql.example.org/query", [("sparql.example.org", 443)]),
        ("https://[2001:db8::5]:8443/query", [("2001:db8::5", 8443)]),
        ("192.0.2.7:9000", [("192.0.2.7", 9000)]),
        ("snowflake://account/x", [("account", None)]),
        # Where it can't be known, nothing is guessed.
        ("mssql+pyodbc:///?odbc_connect=DRIVER", []),
        ("postgresql:///x?host=db.example.org", []),
        ("postgresql://u:a/b@db.example.org/x", []),
        (r"jdbc:sqlserver://db.example.org\NAMED;x", []),
        ("jdbc:oracle:thin:@db:1521/x", []),
        ("postgresql://db:99999/x", []),
        ("postgresql://db:port/x", []),
        ("a text", []),
        ("", []),
    ],
)
def test_where_a_service_is(uri: str, found: list[tuple[str, int | None]]):
    assert destinations(uri) == found


@pytest.mark.parametrize(
    "uri",
    ["/srv/a.sqlite", "~/a.db", "./a.db", "file:///a", "sqlite:////srv/a", "jdbc:sqlite:a", r"C:\a.db", "a.sqlite3"],
)
def test_a_file_is_nothing_to_connect_to(uri: str):
    assert is_file(uri)


@pytest.mark.parametrize("uri", ["postgresql://db.example.org/x.db", "https://h/a.sqlite", "db.example.org:5432"])
def test_a_service_is_no_file(uri: str):
    assert not is_file(uri)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "0.0.0.0", "host.docker.internal"])
def test_the_machine_of_docker_is_known(host: str):
    assert is_this_machine(host)


@pytest.mark.parametrize("host", ["db", "10.0.0.1", "2001:db8::1"])
def test_another_machine_is_another(host: str):
    assert not is_this_machine(host)


@pytest.mark.parametrize("host", ["a_b", "Upper", "1.2.3", "999.1.1.1", "fe80::1%eth0", "", "-a", "a" * 254, "a b"])
def test_what_the_chart_refuses_is_no_host(host: str):
    assert not is_host(host)


@given(st.text())
def test_any_text_is_taken(text: str):
    for host, port in destinations(text):
        assert host
        assert port is None or 0 < port < 65536
    assert is_file(text) in (True, False)
