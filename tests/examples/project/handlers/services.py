"""Signatures of what the examples call; tests give the answers."""

# ruff: noqa: A002 - the examples name their arguments so

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flowlang import handler

Object = dict[str, Any]


@dataclass
class Lessons:
    lessons: list[Object]


@dataclass
class Outcomes:
    runs: list[Object]
    next: str | None


@dataclass
class Watermark:
    cursor: str | None


@dataclass
class Rows:
    rows: list[Object]
    next: str | None


@dataclass
class Clean:
    rows: list[Object]


@dataclass
class Written:
    written: int


@dataclass
class User:
    email: str
    suppressed: bool


@dataclass
class Path:
    path: str


@dataclass
class Probe:
    height: int
    duration: float


@dataclass
class Thumbs:
    paths: list[str]


@dataclass
class Scan:
    clean: bool


@dataclass
class Manifest:
    manifest: str


@dataclass
class Url:
    url: str


@dataclass
class Answer:
    text: str
    message: Object
    tool_calls: list[Object]
    usage: Object


@handler("modules.load", effect="pure")
def modules_load(slug: str) -> Object | None:
    raise NotImplementedError


@handler("modules.attach", effect="idempotent")
def modules_attach(module: str, resource: str) -> Object:
    raise NotImplementedError


@handler("mux.create_asset", effect="keyed")
def mux_create_asset(url: str, passthrough: str) -> Object:
    raise NotImplementedError


@handler("mux.get_asset", effect="pure")
def mux_get_asset(id: str) -> Object:
    raise NotImplementedError


@handler("mux.replace_text_track", effect="idempotent")
def mux_replace_text_track(asset: str, tracks: list[str], srt: str) -> Object:
    raise NotImplementedError


@handler("videos.create", effect="keyed")
def videos_create(asset_id: str, playback_id: str, title: str, state: str) -> Object:
    raise NotImplementedError


@handler("videos.load", effect="pure")
def videos_load(id: str) -> Object:
    raise NotImplementedError


@handler("transcripts.order", effect="keyed")
def transcripts_order(url: str, resource: str) -> Object:
    raise NotImplementedError


@handler("stripe.checkout_session", effect="pure")
def stripe_checkout_session(id: str, expand: list[str]) -> Object:
    raise NotImplementedError


@handler("courses.create", effect="keyed")
def courses_create(title: str, slug: str, sanity_id: str) -> Object:
    raise NotImplementedError


@handler("courses.delete", effect="idempotent")
def courses_delete(id: str) -> None:
    raise NotImplementedError


@handler("courses.add_lesson", effect="idempotent")
def courses_add_lesson(course: str, lesson: str, position: int) -> Object:
    raise NotImplementedError


@handler("courses.set_owner", effect="idempotent")
def courses_set_owner(course: str, owner: str) -> Object:
    raise NotImplementedError


@handler("sanity.patch", effect="idempotent")
def sanity_patch(id: str, set: Object) -> Object:
    raise NotImplementedError


@handler("search.upsert", effect="idempotent")
def search_upsert(id: str, title: str) -> Object:
    raise NotImplementedError


@handler("search.remove", effect="idempotent")
def search_remove(id: str) -> None:
    raise NotImplementedError


@handler("search.notify", effect="idempotent")
def search_notify(url: str) -> None:
    raise NotImplementedError


@handler("search.query", effect="pure")
def search_query(q: str) -> Object:
    raise NotImplementedError


@handler("lessons.create", effect="keyed")
def lessons_create(title: str, sanity_id: str) -> Object:
    raise NotImplementedError


@handler("lessons.published", effect="pure")
def lessons_published(page: int, size: int) -> Lessons:
    raise NotImplementedError


@handler("s3.copy", effect="idempotent")
def s3_copy(source: str, key: str) -> Object:
    raise NotImplementedError


@handler("s3.sign_url", effect="pure")
def s3_sign_url(key: str, ttl: str) -> Object:
    raise NotImplementedError


@handler("transloadit.create_assembly", effect="keyed")
def transloadit_create_assembly(url: str, fields: Object) -> Object:
    raise NotImplementedError


@handler("slack.post", effect="keyed")
def slack_post(channel: str, text: str) -> Object:
    raise NotImplementedError


@handler("crm.find", effect="pure")
def crm_find(email: str) -> Object | None:
    raise NotImplementedError


@handler("crm.set_attributes", effect="idempotent")
def crm_set_attributes(id: str, attributes: list[str]) -> Object:
    raise NotImplementedError


@handler("crm.create", effect="keyed")
def crm_create(email: str, interests: list[str]) -> Object:
    raise NotImplementedError


@handler("runs.outcomes", effect="pure")
def runs_outcomes(since: str, until: str, cursor: str, size: int) -> Outcomes:
    raise NotImplementedError


@handler("posthog.capture", effect="keyed")
def posthog_capture(event: str, properties: Object) -> None:
    raise NotImplementedError


@handler("payroll.reimburse", effect="keyed")
def payroll_reimburse(expense: str) -> Object:
    raise NotImplementedError


@handler("expenses.reject", effect="idempotent")
def expenses_reject(expense: str) -> None:
    raise NotImplementedError


@handler("orders.create", effect="idempotent")
def orders_create(id: str, items: list[Any]) -> Object:
    raise NotImplementedError


@handler("orders.set_status", effect="idempotent")
def orders_set_status(id: str, status: str) -> Object:
    raise NotImplementedError


@handler("orders.status", effect="pure")
def orders_status(id: str) -> Object:
    raise NotImplementedError


@handler("payments.charge", effect="keyed")
def payments_charge(order: str, amount: int) -> Object:
    raise NotImplementedError


@handler("payments.refund", effect="idempotent")
def payments_refund(order: str) -> Object:
    raise NotImplementedError


@handler("inventory.reserve", effect="keyed")
def inventory_reserve(sku: str, quantity: int) -> Object:
    raise NotImplementedError


@handler("inventory.release", effect="idempotent")
def inventory_release(sku: str, quantity: int) -> Object:
    raise NotImplementedError


@handler("mail.send", effect="keyed")
def mail_send(to: str, template: str = "", text: str = "") -> Object:
    raise NotImplementedError


@handler("sns.publish", effect="keyed")
def sns_publish(topic: str, message: str) -> Object:
    raise NotImplementedError


@handler("warehouse.watermark", effect="pure")
def warehouse_watermark(table: str) -> Watermark:
    raise NotImplementedError


@handler("warehouse.upsert", effect="idempotent")
def warehouse_upsert(table: str, rows: list[Any]) -> Written:
    raise NotImplementedError


@handler("warehouse.set_watermark", effect="idempotent")
def warehouse_set_watermark(table: str, cursor: str | None) -> None:
    raise NotImplementedError


@handler("shop.export_orders", effect="pure")
def shop_export_orders(cursor: str | None, size: int) -> Rows:
    raise NotImplementedError


@handler("etl.transform", effect="pure")
def etl_transform(rows: list[Any]) -> Clean:
    raise NotImplementedError


@handler("users.load", effect="pure")
def users_load(id: str) -> User:
    raise NotImplementedError


@handler("files.fetch", effect="idempotent")
def files_fetch(url: str) -> Path:
    raise NotImplementedError


@handler("files.remove", effect="idempotent")
def files_remove(path: str) -> None:
    raise NotImplementedError


@handler("ffmpeg.probe", effect="pure")
def ffmpeg_probe(path: str) -> Probe:
    raise NotImplementedError


@handler("ffmpeg.encode", effect="idempotent")
def ffmpeg_encode(path: str, size: str) -> Path:
    raise NotImplementedError


@handler("ffmpeg.thumbnails", effect="idempotent")
def ffmpeg_thumbnails(path: str, every: float) -> Thumbs:
    raise NotImplementedError


@handler("av.scan", effect="pure")
def av_scan(path: str) -> Scan:
    raise NotImplementedError


@handler("hls.package", effect="idempotent")
def hls_package(files: list[str], thumbs: list[str]) -> Manifest:
    raise NotImplementedError


@handler("audit.write", effect="keyed")
def audit_write(file: str, clean: bool) -> None:
    raise NotImplementedError


@handler("cdn.publish", effect="idempotent")
def cdn_publish(manifest: str) -> Url:
    raise NotImplementedError


@handler("llm.chat", effect="keyed")
def llm_chat(messages: list[Any], max_tokens: int) -> Answer:
    raise NotImplementedError
