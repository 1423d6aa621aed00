// Keeps a page of the dashboard at what is so: takes panels as the server draws them, and puts them
// in place. In the frame that the app's pages show, all that leaves it is "show", "hide", "reload".
(() => {
  "use strict";
  const root = document.documentElement;
  const framed = root.dataset.page === "overlay";
  const dialog = document.getElementById("overlay-dialog");
  const gone = document.getElementById("gone");
  const said = document.getElementById("said");
  let pause = 250, dismissed = "", reload = "", socket = null;

  const tell = (word) => { if (framed && parent !== window) parent.postMessage(word, "*"); };

  function put(name, digest, html) {
    const panel = document.getElementById(name);
    if (!panel || panel.dataset.digest === digest) return;
    const focused = panel.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...panel.querySelectorAll("details[id]")].map((each) => [each.id, each.open]);
    const scrolled = [...panel.querySelectorAll("[data-scroll][id]")]
      .map((each) => [each.id, each.scrollTop, each.matches("pre") && each.scrollHeight - each.scrollTop - each.clientHeight < 40]);
    panel.innerHTML = html;
    panel.dataset.digest = digest;
    for (const [id, was] of open) {
      const again = document.getElementById(id);
      if (again) again.open = was;
    }
    for (const [id, top, end] of scrolled) {
      const again = document.getElementById(id);
      if (again) again.scrollTop = end ? again.scrollHeight : top;
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    if (name === "overlay") overlay(digest);
    if (name === "status") said.textContent = panel.textContent.replace(/\s+/g, " ").trim();
  }

  function overlay(digest) {
    const broken = document.getElementById("overlay").childElementCount > 0;
    if (!broken) dismissed = "";
    if (broken && digest !== dismissed) {
      if (!dialog.open) framed ? dialog.show() : dialog.showModal();
      tell("show");
    } else if (!broken) {
      if (dialog.open) dialog.close();
      tell("hide");
    }
  }

  dialog.addEventListener("close", () => {
    dismissed = document.getElementById("overlay").dataset.digest;
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
      document.title = news.title;
      if (news.reload && reload && news.reload !== reload) tell("reload");
      reload = news.reload || reload;
      for (const [name, [digest, html]] of Object.entries(news.panels)) put(name, digest, html);
      root.dataset.live = "yes";
    };
    socket.onclose = () => {
      gone.hidden = false;
      root.dataset.live = "no";
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
    const button = event.submitter;
    if (button) button.disabled = true;
    try {
      const answer = await fetch(form.action, {
        method: "POST", body: new URLSearchParams(new FormData(form)),
        headers: { "X-Requested-With": "live" },
      });
      said.textContent = answer.ok ? form.dataset.done || "Done" : `Not done (${answer.status})`;
    } catch {
      said.textContent = "upm-dev does not answer";
    }
    setTimeout(() => { if (button) button.disabled = false; }, 400);
  });
  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (!copy) return;
    navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    said.textContent = "Copied";
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
  });
  for (const each of document.querySelectorAll("pre[data-scroll]")) each.scrollTop = each.scrollHeight;
  overlay(document.getElementById("overlay").dataset.digest);
  connect();
})();
