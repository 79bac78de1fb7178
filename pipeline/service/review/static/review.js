// Keys for what the page can do without them. Everything works with this file absent.
"use strict";
(() => {
  const store = "loanlint-keys";
  let on = true;
  try { on = localStorage.getItem(store) !== "off"; } catch { /* no storage: keys stay on */ }

  const note = document.querySelector("[data-keys-note]");
  const toggle = document.querySelector("[data-toggle-keys]");
  if (note && toggle) {
    note.hidden = false;
    toggle.setAttribute("aria-pressed", String(on));
    toggle.addEventListener("click", () => {
      on = !on;
      toggle.setAttribute("aria-pressed", String(on));
      try { localStorage.setItem(store, on ? "on" : "off"); } catch { /* lasts for this page */ }
    });
  }

  const all = document.querySelector("[data-all]");
  if (all) {
    all.hidden = false;
    all.addEventListener("click", () => {
      const boxes = [...document.querySelectorAll('input[name="also"]')];
      const tick = boxes.some((box) => !box.checked);
      for (const box of boxes) box.checked = tick;
    });
  }

  // A key that is held down, or pressed twice, must not decide two items.
  let sent = false;
  for (const form of document.forms) form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });

  const rows = [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + by))].focus();
  };

  document.addEventListener("keydown", (event) => {
    const box = event.target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select");
    if (event.key === "Escape" && box) { box.blur(); return; }
    if (!on || box || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === "j") { step(1); return; }
    if (event.key === "k") { step(-1); return; }
    if (!/^[a-z0-9]$/.test(event.key)) return;
    const target = document.querySelector(`[data-key="${event.key}"]`);
    if (!target) return;
    event.preventDefault();
    if (target.matches("button, a")) target.click(); else target.focus();
  });
})();
