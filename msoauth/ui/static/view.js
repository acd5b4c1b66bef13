// Shows HTML that the kernel made and escaped: copies what has data-copy, reports clicks on what has data-act,
// and lets seconds run at what has data-since (up) or data-until (down), without asking the kernel.

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https, or without leave, the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = button.dataset.copied || before;
  setTimeout(() => { button.textContent = before; }, 1500);
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "mso mso-view";
  if (model.get("live")) box.setAttribute("aria-live", "polite");

  function tick() {
    const now = Date.now() / 1000;
    for (const place of box.querySelectorAll("[data-since]")) place.textContent = clock(now - Number(place.dataset.since));
    for (const place of box.querySelectorAll("[data-until]")) place.textContent = clock(Number(place.dataset.until) - now);
  }

  function draw() {
    const open = new Set([...box.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
    const shut = new Set([...box.querySelectorAll("details:not([open])[data-key]")].map((d) => d.dataset.key));
    const focus = document.activeElement && box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    box.innerHTML = model.get("html");
    for (const fold of box.querySelectorAll("details[data-key]")) {
      if (open.has(fold.dataset.key)) fold.open = true;
      if (shut.has(fold.dataset.key)) fold.open = false;
    }
    if (focus) box.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
    tick();
  }

  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-act]");
    if (!button || !box.contains(button) || button.disabled) return;
    event.preventDefault();
    if (button.dataset.copy !== undefined) copy(button);
    else model.send({ event: "act", name: button.dataset.act, value: button.dataset.value ?? "" });
  });
  box.addEventListener("keydown", (event) => event.stopPropagation());
  model.on("change:html", draw);
  draw();
  el.append(box);
  const timer = setInterval(tick, 500);
  return () => clearInterval(timer);
}

export default { render };
