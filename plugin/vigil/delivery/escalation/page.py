"""The page behind a link: what it is about, a field for the name, one button. Works on a phone and without JavaScript.

Opening it changes nothing (mail scanners open links); only sending the form acknowledges.
"""

from __future__ import annotations

from html import escape

from vigil.delivery.escalation.notice import DISCLAIMER, Notice
from vigil.delivery.escalation.person import LONGEST

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; "
                               "base-uri 'none'",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #16202b; --soft: #5a6775; --ground: #f3f5f8; --card: #fff; --line: #dfe4ea;
  --act: #0b5cad; --warn: #b3261e; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8edf2; --soft: #9aa7b4; --ground: #0f151b; --card: #18212a;
  --line: #2b3641; --act: #5aa9f5; --warn: #ff8a80; --good: #7fd6a0; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 16px; background: var(--ground);
  color: var(--ink); font: 17px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: 100%; max-width: 28rem; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 24px; box-shadow: 0 6px 24px rgb(0 0 0 / 8%); border-top: 6px solid var(--tone); }
.urgent { --tone: var(--warn); } .calm { --tone: var(--act); } .done { --tone: var(--good); }
h1 { font-size: 1.3rem; line-height: 1.3; margin: 0 0 16px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 6px 16px; margin: 0 0 20px; }
dt { color: var(--soft); } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
label { display: block; font-weight: 600; margin-bottom: 6px; }
input { width: 100%; font: inherit; color: inherit; background: transparent; padding: 12px; border: 1px solid var(--soft);
  border-radius: 10px; }
button { width: 100%; font: inherit; font-weight: 700; margin-top: 14px; padding: 14px; border: 0; border-radius: 10px;
  background: var(--act); color: #fff; cursor: pointer; }
@media (prefers-color-scheme: dark) { button { color: #0f151b; } }
input:focus-visible, button:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
.fault { color: var(--warn); font-weight: 600; margin: 8px 0 0; }
small { display: block; color: var(--soft); margin-top: 18px; }
""".strip()


def ask(notice: Notice, fault: str | None = None) -> bytes:
    """The form. It is sent to its own address."""
    said = "" if fault is None else f'<p class="fault" id="fault" role="alert">{escape(fault)}</p>'
    described = "" if fault is None else ' aria-describedby="fault" aria-invalid="true"'
    return _page("urgent" if notice.category == 1 else "calm", notice.headline, f"""{_facts(notice)}
<form method="post">
<label for="by">Your name</label>
<input id="by" name="by" autocomplete="name" autocapitalize="words" required minlength="2" maxlength="{LONGEST}"{described}>
{said}
<button>I have received this result</button>
</form>""")


def thanks(notice: Notice, by: str, at: str) -> bytes:
    return _page("done", "Acknowledged. Thank you.", f"""{_facts(notice)}
<p>Received by <b>{escape(by)}</b>, {escape(at)}. Nobody else is told of it any more.</p>""")


def already(notice: Notice, by: str, at: str) -> bytes:
    return _page("done", "Acknowledged before", f"""{_facts(notice)}
<p>Received by <b>{escape(by)}</b>, {escape(at)}.</p>""")


def refused(words: str) -> bytes:
    return _page("urgent", "This link does not work", f"<p>{escape(words[:1].upper() + words[1:])}.</p>")


def _facts(notice: Notice) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in notice.facts())
    return f"<dl>{rows}</dl>"


def _page(tone: str, title: str, content: str) -> bytes:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(title)}</title>
<style>
{_STYLE}
</style>
</head>
<body>
<main class="{tone}">
<h1>{escape(title)}</h1>
{content}
<small>{escape(DISCLAIMER)}</small>
</main>
</body>
</html>
""".encode()
