"""Settings: where each comes from, what is refused and how, and what is shown of secrets."""

from __future__ import annotations

import base64
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowlang.errors import ConfigError
from flowlang.keyring import Keyring
from flowlang.settings import LogFormat, Settings, declared, next_database, safe_url, same_database, unknown_variables

KEY, OLD_KEY = (base64.b64encode(bytes(range(at, at + 32))).decode() for at in (1, 2))


def test_without_anything_the_defaults_apply() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.redis_url, settings.broker, settings.http_port, settings.threads) == (None, None, 8787, 8)
    assert settings.lease == timedelta(seconds=10)
    assert not settings.is_test


def test_every_setting_is_read_from_its_variable() -> None:
    texts = {
        "FLOWLANG_REDIS_URL": "redis://cache:6380/3",
        "FLOWLANG_BROKER_URL": "rediss://hints:6381/0",
        "FLOWLANG_ENCRYPTION_KEYS": f"2:{KEY},1:{OLD_KEY}",
        "FLOWLANG_ENCRYPTION_PLAIN": "refuse",
        "FLOWLANG_NAMESPACE": "academy",
        "FLOWLANG_ENV": "test",
        "FLOWLANG_PROJECT": "/srv/academy",
        "FLOWLANG_HTTP_HOST": "0.0.0.0",
        "FLOWLANG_HTTP_PORT": "80",
        "FLOWLANG_HTTP_HOSTS": "hooks.example.com, API.example.com",
        "FLOWLANG_DEV_TOKEN": "t" * 40,
        "FLOWLANG_HTTP_PROXIES": "10.0.0.0/8, ::1",
        "FLOWLANG_HTTP_CONNECTIONS": "50",
        "FLOWLANG_HTTP_CONNECTIONS_IP": "5",
        "FLOWLANG_RATE_IP": "10/m",
        "FLOWLANG_RATE_KEY": "none",
        "FLOWLANG_RATE_WEBHOOK": "5/10s",
        "FLOWLANG_PROCESSES": "4",
        "FLOWLANG_THREADS": "16",
        "FLOWLANG_QUEUES": "critical, default",
        "FLOWLANG_LEASE": "1m30s",
        "FLOWLANG_SHUTDOWN": "0s",
        "FLOWLANG_EGRESS": "listed",
        "FLOWLANG_EGRESS_ALLOW": "crm.internal, 10.1.0.0/16",
        "FLOWLANG_EGRESS_PORTS": "443,8000-8099",
        "FLOWLANG_LOG": "JSON",
        "FLOWLANG_LOG_LEVEL": "debug",
    }
    assert set(texts) == {setting.variable for setting in declared()}
    assert Settings.from_env(texts) == Settings(
        redis_url="redis://cache:6380/3",
        broker_url="rediss://hints:6381/0",
        encryption_keys=Keyring({2: base64.b64decode(KEY), 1: base64.b64decode(OLD_KEY)}),
        encryption_plain="refuse",
        namespace="academy",
        environment="test",
        project=Path("/srv/academy"),
        http_host="0.0.0.0",
        http_port=80,
        http_hosts=("hooks.example.com", "api.example.com"),
        dev_token="t" * 40,
        http_proxies=(ip_network("10.0.0.0/8"), ip_network("::1")),
        http_connections=50,
        http_connections_ip=5,
        rate_ip="10/m",
        rate_key="none",
        rate_webhook="5/10s",
        processes=4,
        threads=16,
        queues=("critical", "default"),
        lease=timedelta(seconds=90),
        shutdown=timedelta(0),
        egress="listed",
        egress_allow=("crm.internal", "10.1.0.0/16"),
        egress_ports=("443", "8000-8099"),
        log_format=LogFormat.JSON,
        log_level="debug",
    )


@pytest.mark.parametrize(
    ("flag", "variable", "yaml", "expected"),
    [
        ("3s", "4s", "5s", 3),
        (None, "4s", "5s", 4),
        (None, "", "5s", 5),
        (None, None, None, 10),
    ],
)
def test_flags_win_over_variables_over_the_project_over_defaults(
    flag: str | None, variable: str | None, yaml: str | None, expected: int
) -> None:
    environ = {} if variable is None else {"FLOWLANG_LEASE": variable}
    project = {} if yaml is None else {"lease": yaml}
    assert Settings.from_env(environ, {"lease": flag}, project).lease == timedelta(seconds=expected)


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        ("FLOWLANG_HTTP_PORT", "http", "FLOWLANG_HTTP_PORT is 'http': it is a whole number from 0 to 65535"),
        ("FLOWLANG_HTTP_PORT", "65536", "from 0 to 65535"),
        ("FLOWLANG_HTTP_PORT", "9" * 5000, "from 0 to 65535"),
        ("FLOWLANG_HTTP_HOSTS", "hooks.example.com:443", "write such as hooks.example.com, without a port"),
        ("FLOWLANG_HTTP_HOSTS", "https://hooks.example.com", "without a port"),
        ("FLOWLANG_HTTP_PROXIES", "10.0.0.1/8", "write addresses or networks such as 10.0.0.0/8"),
        ("FLOWLANG_RATE_IP", "fast", "write such as `100/s` or `1000/m`, or `none`"),
        ("FLOWLANG_RATE_KEY", "0/s", "is no rate"),
        ("FLOWLANG_THREADS", "0", "from 1 to 1024"),
        ("FLOWLANG_THREADS", "-1", "from 1 to 1024"),
        ("FLOWLANG_THREADS", "٣", "from 1 to 1024"),
        ("FLOWLANG_LEASE", "10", "`10` has no unit; write `10s` for seconds"),
        ("FLOWLANG_LEASE", "5ms", "from 1s to 10m"),
        ("FLOWLANG_LOG", "xml", "it is one of text, json"),
        ("FLOWLANG_LOG_LEVEL", "loud", "it is one of debug, info, warning, error"),
        ("FLOWLANG_ENV", "Production!", "such as `production`"),
        ("FLOWLANG_QUEUES", "default,Bad Name", "small letters"),
        ("FLOWLANG_REDIS_URL", "127.0.0.1:6379", "it must begin with redis://"),
        ("FLOWLANG_REDIS_URL", "http://cache", "it must begin with redis://"),
        ("FLOWLANG_REDIS_URL", "redis:///0", "it names no host"),
        ("FLOWLANG_REDIS_URL", "unix://", "it names no socket"),
        ("FLOWLANG_REDIS_URL", "redis://[::1", "it is no URL"),
        ("FLOWLANG_REDIS_URL", "redis://h:port", "it is no URL"),
        ("FLOWLANG_REDIS_URL", "amqp://h", "it must begin with redis://"),
        ("FLOWLANG_BROKER_URL", "redis://h/first", "'first' is no database number"),
        ("FLOWLANG_BROKER_URL", "kafka://h", "or with amqp:// or amqps:// for RabbitMQ"),
        ("FLOWLANG_BROKER_URL", "amqp://", "it names no host"),
        ("FLOWLANG_BROKER_URL", "amqp://h:port", "it is no URL"),
    ],
)
def test_what_is_wrong_is_said_with_its_variable_and_what_would_be_right(variable: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({variable: text})
    assert str(caught.value).startswith(variable)
    assert says in str(caught.value)


def test_a_wrong_flag_is_named_as_it_was_written() -> None:
    with pytest.raises(ConfigError, match=r"^--http-port is 'x'"):
        Settings.from_env({}, {"http_port": "x"})


@pytest.mark.parametrize("token", ["short", "with a space in the middle of it, and long", "é" * 40])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError, match="at least 32 letters and digits") as caught:
        Settings.from_env({"FLOWLANG_DEV_TOKEN": token})
    assert token not in str(caught.value)


def test_a_message_about_a_secret_setting_does_not_hold_it() -> None:
    with pytest.raises(ConfigError) as caught:
        Settings.from_env({"FLOWLANG_REDIS_URL": "http://user:hunter2@cache"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["amqp://guest:guest@rabbit:5672/%2F", "amqps://rabbit/jobs", "redis://hints/1"])
def test_hints_may_go_through_rabbitmq(url: str) -> None:
    assert Settings.from_env({"FLOWLANG_BROKER_URL": url}).broker == url


def test_a_secret_setting_may_lie_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("redis://:hunter2@cache/0\n")
    assert Settings.from_env({"FLOWLANG_REDIS_URL_FILE": str(path)}).redis_url == "redis://:hunter2@cache/0"
    with pytest.raises(ConfigError, match=r"FLOWLANG_REDIS_URL_FILE: .*nothing cannot be read"):
        Settings.from_env({"FLOWLANG_REDIS_URL_FILE": str(tmp_path / "nothing")})


@pytest.mark.parametrize(
    ("store", "broker"),
    [
        ("redis://cache", "redis://cache/1"),
        ("redis://cache:6379/", "redis://cache:6379/1"),
        ("redis://:pass@cache:6379/0", "redis://:pass@cache:6379/1"),
        ("rediss://cache/4?ssl_cert_reqs=none", "rediss://cache/5?ssl_cert_reqs=none"),
        ("redis://cache?db=7", "redis://cache?db=8"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=1"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=3"),
    ],
)
def test_the_broker_is_the_next_database_of_the_store(store: str, broker: str) -> None:
    assert next_database(store) == broker
    assert Settings(redis_url=store).broker == broker
    assert Settings(redis_url=store, broker_url="redis://other").broker == "redis://other"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://:hunter2@cache/0", "redis://:***@cache/0"),
        ("redis://me:hunter2@cache/0", "redis://me:***@cache/0"),
        ("redis://me:hun@ter2@cache/0", "redis://me:***@cache/0"),
        ("redis://cache/0?password=hunter2", "redis://cache/0?password=***"),
        ("redis://[", "(no URL)"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert safe_url(url) == shown


@given(
    st.builds(
        Settings,
        redis_url=st.sampled_from([None, "redis://h/2", "unix:///s?db=1"]),
        environment=st.sampled_from(["development", "production"]),
        http_port=st.integers(0, 65_535),
        queues=st.lists(st.sampled_from(["default", "critical"]), unique=True).map(tuple),
        lease=st.integers(1_000, 600_000).map(lambda ms: timedelta(milliseconds=ms)),
        shutdown=st.integers(0, 3_600_000).map(lambda ms: timedelta(milliseconds=ms)),
        log_format=st.sampled_from(LogFormat),
        project=st.just(Path("/srv/academy")),
    )
)
def test_a_child_process_reads_the_same_settings(settings: Settings) -> None:
    assert Settings.from_env(settings.environ()) == settings


def test_variables_that_are_no_settings_are_found() -> None:
    environ = {"FLOWLANG_REDIS_ULR": "", "FLOWLANG_REDIS_URL_FILE": "x", "FLOWLANG_LOG": "text", "HOME": "/"}
    assert unknown_variables(environ) == ["FLOWLANG_REDIS_ULR"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://store", "redis://store:6379/0", True),
        ("redis://:secret@Store/2", "redis://store?db=2", True),
        ("redis://localhost/1", "redis://127.0.0.1/1", True),
        ("redis://store/0", "redis://store/1", False),
        ("redis://store/0", "redis://other/0", False),
        ("redis://store:6379/0", "redis://store:6380/0", False),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock?db=0", True),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock?db=1", False),
        ("redis://store/0", "amqp://store/", False),
    ],
)
def test_one_database_is_known_under_all_its_addresses(one: str, other: str, same: bool) -> None:
    assert same_database(one, other) is same
