"""The one script that pages of the app get when they go through us: overlay and live reload.

The public port knows nothing that the world must not see, so the script is a few lines that show
a frame of the *dashboard's* origin: what is in the overlay, the page around it cannot read, and a
visitor through a tunnel has no dashboard on his own machine. All that comes out of the frame are
the words "show", "hide" and "reload".
"""

from html import escape

import aiohttp
from aiohttp import web

from devserver.web.hosts import allowed

PATH = "/_upm-dev/live.js"

SCRIPT = """\
(() => {
  "use strict";
  const at = document.currentScript.dataset.dashboard;
  const frame = document.createElement("iframe");
  frame.src = at + "/overlay";
  frame.title = "upm-dev";
  for (const [name, value] of Object.entries({
    position: "fixed", inset: "0", width: "100%", height: "100%", border: "0",
    "z-index": "2147483647", "background-color": "transparent", "color-scheme": "light dark",
  })) frame.style.setProperty(name, value, "important");
  let shown = null, focused = null;
  const show = (now) => {
    if (now === shown) return;
    shown = now;
    frame.style.setProperty("display", now ? "block" : "none", "important");
    if (now) { focused = document.activeElement; frame.focus(); }
    else if (focused && [frame, document.body].includes(document.activeElement)) focused.focus();
  };
  show(false);
  addEventListener("message", (event) => {
    if (event.origin !== at || event.source !== frame.contentWindow) return;
    if (event.data === "reload") location.reload();
    else show(event.data === "show");
  });
  addEventListener("keydown", (event) => { if (event.key === "Escape") show(false); });
  document.documentElement.append(frame);
})();
"""


def is_page(request: web.Request) -> bool:
    """Whether *request* is for a page that somebody on this machine looks at.

    Through a tunnel the script would find no dashboard, and browsers would ask the visitor whether
    the page may reach into his own network.
    """
    if request.method not in ("GET", "HEAD") or not allowed(request.host):
        return False
    kind = request.headers.get("Sec-Fetch-Dest")
    if kind is not None:
        return kind in ("document", "iframe", "frame")
    return request.headers.get("Accept", "").startswith("text/html")


def fits(answer: aiohttp.ClientResponse) -> bool:
    """Whether a script can be added to the end of this answer."""
    headers = answer.headers
    return (
        answer.status not in (204, 206, 304)
        and answer.content_type == "text/html"
        and _has_letters_of_ascii(answer.charset)
        and headers.get("Content-Encoding", "identity").lower() == "identity"
        and "attachment" not in headers.get("Content-Disposition", "").lower()
    )


def _has_letters_of_ascii(charset: str | None) -> bool:
    try:
        return charset is None or "<".encode(charset) == b"<"
    except (LookupError, UnicodeError):  # no name that we know
        return False


def script(dashboard: str) -> bytes:
    """What is added: HTML that ends is followed by nothing else, and a script there runs."""
    return f'<script src="{PATH}" data-dashboard="{escape(dashboard)}"></script>'.encode()


async def answer(_: web.Request) -> web.Response:
    return web.Response(
        text=SCRIPT,
        content_type="text/javascript",
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"},
    )
