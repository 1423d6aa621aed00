// Keeps a page of the dashboard at what is so: takes panels as the server draws them, and makes the
// page like them. In the frame that the app's pages show, all that leaves it is "show", "hide",
// "reload".
(() => {
  "use strict";
  const root = document.documentElement;
  const framed = root.dataset.page === "overlay";
  const dialog = document.getElementById("overlay-dialog");
  const gone = document.getElementById("gone");
  const said = document.getElementById("said");
  const toast = document.getElementById("toast");
  let pause = 250, reload = null, noticed = null, fading = 0, socket = null, left = false;
  // What was closed stays closed on every page of this tab; a frame may have no storage.
  let dismissed = "";
  try { dismissed = sessionStorage.getItem("dismissed") || ""; } catch { /* then by this page */ }

  function dismiss(digest) {
    dismissed = digest;
    try { sessionStorage.setItem("dismissed", digest); } catch { /* as above */ }
  }

  const tell = (word) => { if (framed && parent !== window) parent.postMessage(word, "*"); };

  function say(words) {
    (dialog.open ? dialog : document.body).append(toast);  // all else is behind an open dialog
    toast.textContent = words;
    clearTimeout(fading);
    fading = setTimeout(() => { toast.textContent = ""; }, 5000);
  }

  // Makes `old` like `fresh`, and touches nothing that is so already: what is focused, selected,
  // typed, opened, scrolled or about to be clicked stays. Elements with an id are known by it.
  function become(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1 || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    const chosen = old.nodeName === "SELECT" && !old.selectedOptions[0]?.defaultSelected && old.value;
    const known = new Map([...old.children].filter((each) => each.id).map((each) => [each.id, each]));
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const like = at && !at.id && !next.id && at.nodeName === next.nodeName ? at : null;
      const same = next.id ? known.get(next.id) : like;
      if (same === at && at) at = at.nextSibling;
      else old.insertBefore(same || next, at);
      if (same) become(same, next);
    }
    while (at) {
      const after = at.nextSibling;
      at.remove();
      at = after;
    }
    if (chosen && [...old.options].some((each) => each.value === chosen)) old.value = chosen;
  }

  function put(name, digest, html) {
    const panel = document.getElementById(name);
    if (!panel || panel.dataset.digest === digest) return;
    const held = panel.contains(document.activeElement);
    const followed = [...panel.querySelectorAll("[data-follow]")]
      .filter((each) => each.scrollHeight - each.scrollTop - each.clientHeight < 40);
    const fresh = panel.cloneNode(false);
    fresh.dataset.digest = digest;
    fresh.innerHTML = html;
    become(panel, fresh);
    for (const each of followed) each.scrollTop = each.scrollHeight;
    if (held && !panel.contains(document.activeElement)) {  // it is not there any more
      panel.tabIndex = -1;
      panel.focus({ preventScroll: true });
    }
    if (name === "overlay") overlay(digest);
    aim(panel);
    if (name === "status") said.textContent = panel.textContent.replace(/\s+/g, " ").trim();
  }

  // A caret that is out of sight, on a narrow page, shows nothing: scrolls to it.
  function aim(within) {
    for (const caret of within.querySelectorAll(".caret i")) {
      const code = caret.closest(".code");
      const over = caret.getBoundingClientRect().right - code.getBoundingClientRect().right;
      if (over > 0) code.scrollLeft += over + code.clientWidth / 2;
    }
  }

  function overlay(digest) {
    const broken = document.getElementById("overlay").childElementCount > 0;
    if (!broken) dismiss("");
    if (broken && digest !== dismissed) {
      if (!dialog.open) framed ? dialog.show() : dialog.showModal();
      tell("show");
    } else if (!broken) {
      if (dialog.open) dialog.close();
      tell("hide");
    }
  }

  dialog.addEventListener("close", () => {
    if (!left) dismiss(document.getElementById("overlay").dataset.digest);
    tell("hide");
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  });
  if (framed) addEventListener("keydown", (event) => { if (event.key === "Escape") dialog.close(); });

  function connect() {
    const query = new URLSearchParams(location.search);
    query.set("page", root.dataset.page);
    socket = new WebSocket(`ws://${location.host}/live?${query}`);
    socket.onmessage = (event) => {
      const news = JSON.parse(event.data);
      if (news.start !== root.dataset.start) return location.reload();
      pause = 250;
      gone.hidden = true;
      if (left) {
        left = false;
        overlay(document.getElementById("overlay").dataset.digest);
      }
      document.title = news.title;
      // Nothing to load again is said while the app does not answer: then what comes next is.
      if (news.reload && reload !== null && news.reload !== reload) tell("reload");
      if (news.reload || reload === null) reload = news.reload;
      for (const [name, [digest, html]] of Object.entries(news.panels)) put(name, digest, html);
      if (noticed !== null && news.notice[0] !== noticed) say(news.notice[1]);
      noticed = news.notice[0];
      root.dataset.live = "yes";
    };
    socket.onclose = () => {
      gone.hidden = false;
      root.dataset.live = "no";
      document.title = "✗ not running – upm-dev";
      left = true;
      dialog.close();  // what it says may not be so any more, and the banner is behind it
      setTimeout(connect, pause);
      pause = Math.min(pause * 1.5, 2000);
    };
  }
  addEventListener("pagehide", () => { if (socket) socket.onclose = null; });
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    event.preventDefault();
    form.closest(".sure")?.removeAttribute("open");
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)),
        headers: { "X-Requested-With": "live" },
      });
      say(answer.ok ? form.dataset.done : `Not done: upm-dev answers ${answer.status}`);
    } catch {
      say("Not done: upm-dev does not answer");
    }
  });
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent)
        .then(() => say("Copied"), () => say("The browser does not allow it"));
    }
  });
  for (const each of document.querySelectorAll("[data-follow]")) each.scrollTop = each.scrollHeight;
  overlay(document.getElementById("overlay").dataset.digest);
  aim(document);
  const picked = document.querySelector(".rows [aria-current=true]");
  if (picked) {
    picked.scrollIntoView({ block: "nearest" });
    picked.focus({ preventScroll: true });
  }
  connect();
})();
