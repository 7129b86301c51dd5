"""The Atom feed of promotions (RFC 4287)."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from markupsafe import escape

from gitmodel.web.page import Page
from gitmodel.web.pages.of_model import version
from gitmodel.web.registry_data.registry_data import RegistryData

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent

_MOST_ENTRIES = 100


def read(registry: RegistryData) -> str:
    """Return the feed of the newest changes of stages and aliases. Its links are relative if the site has no URL."""
    events = [event for event in registry.events() if event.refusal is None][:_MOST_ENTRIES]
    clean, url = registry.rules_of_text.text, registry.options.base_url
    base = f"{url.rstrip('/')}/" if url else ""
    updated = events[0].when if events else datetime(1970, 1, 1, tzinfo=timezone.utc)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{escape(clean(registry.options.title))}</title>",
        f"<id>{_id(base or registry.options.title)}</id>",
        f"<updated>{_time(updated)}</updated>",
        f'<link rel="self" href="{escape(base + PAGE.file({}))}"/>',
        f'<link href="{escape(base)}index.html"/>',
        *(line for event in events for line in _entry(registry, event, base)),
        "</feed>",
    ]
    return "\n".join(lines) + "\n"


def _entry(registry: RegistryData, event: StageEvent, base: str) -> list[str]:
    clean = registry.rules_of_text.text
    what = f"{event.model} {event.stage}: {event.previous or 'empty'} -> {event.version or 'empty'}"
    who = event.author + (f", merged by {event.merged_by}" if event.merged_by not in ("", event.author) else "")
    said = event.reason + (f" (overridden: {', '.join(event.forced)})" if event.forced else "")
    target = "index.html"  # if the stage became empty, or the version that entered it has no page
    if event.version is not None and registry.has_page(event.model, event.version):
        target = version.PAGE.file({"model": event.model, "number": event.version})
    return [
        "<entry>",
        f"<title>{escape(clean(what))}</title>",
        f"<id>{_id(f'{event.commit} {event.model} {event.stage}')}</id>",
        f"<updated>{_time(event.when)}</updated>",
        f"<author><name>{escape(clean(who))}</name></author>",
        f'<link href="{escape(base + target)}"/>',
        f"<summary>{escape(clean(said))}</summary>",
        "</entry>",
    ]


def _id(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'gitmodel:{name}')}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


PAGE = Page("feed", "/feed.xml", read)
