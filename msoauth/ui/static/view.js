// Shows HTML that the kernel built and escaped. Elements with data-copy copy their text, clicks on data-act are sent to
// the kernel, data-since counts seconds up and data-until down, data-notebook opens a notebook; files that the kernel
// sends are saved.

async function copy(button) {
  // A path belongs to this server; whoever gets it by mail needs the whole address.
  const own = /^\/[^/\\\s]\S*$/.test(button.dataset.copy);
  const text = own ? location.origin + button.dataset.copy : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https or permission, the old way still works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const label = (button.dataset.label ??= button.textContent);
  button.textContent = button.dataset.copied || label;
  setTimeout(() => { button.textContent = label; }, 1500);
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// JupyterLab opens a notebook in a tab of its own, without loading the page anew; elsewhere the link is a link.
function aim(link) {
  const place = /^(.*?)\/lab(?:\/workspaces\/[^/]+)?(?:\/tree\/(.*))?$/.exec(location.pathname);
  if (!place) return;
  const here = decodeURIComponent(place[2] ?? "");
  const folder = here.includes("/") ? here.slice(0, here.lastIndexOf("/") + 1) : "";
  link.setAttribute("data-commandlinker-command", "docmanager:open");
  link.setAttribute("data-commandlinker-args", JSON.stringify({ path: folder + link.dataset.notebook }));
}

function save(message, buffers) {
  const part = buffers[0];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([part], { type: message.kind }));
  link.download = message.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function render({ model, el }) {
  const box = document.createElement("div");
  box.className = "mso mso-view";
  if (model.get("live")) box.setAttribute("aria-live", "polite");

  // Seconds by which this browser's clock is ahead of the kernel's, which may run on another computer.
  let ahead = 0;

  function tick() {
    const now = Date.now() / 1000 - ahead;
    for (const place of box.querySelectorAll("[data-since]")) place.textContent = clock(now - Number(place.dataset.since));
    for (const place of box.querySelectorAll("[data-until]")) place.textContent = clock(Number(place.dataset.until) - now);
  }

  function draw() {
    const open = new Set([...box.querySelectorAll("details[open][data-key]")].map((d) => d.dataset.key));
    const shut = new Set([...box.querySelectorAll("details:not([open])[data-key]")].map((d) => d.dataset.key));
    const focus = document.activeElement && box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const regions = () => [...box.querySelectorAll("[role=region]")];
    const scrolled = new Map(regions().map((region) => [region.getAttribute("aria-label"), region.scrollTop]));
    box.innerHTML = model.get("html");
    for (const region of regions()) region.scrollTop = scrolled.get(region.getAttribute("aria-label")) ?? 0;
    for (const fold of box.querySelectorAll("details[data-key]")) {
      if (open.has(fold.dataset.key)) fold.open = true;
      if (shut.has(fold.dataset.key)) fold.open = false;
    }
    if (focus) box.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
    tick();
  }

  const changed = afterPress(draw);
  const act = (event, place, value) => model.send(numbered({ event, name: place.dataset.act, value }));

  box.addEventListener("click", (event) => {
    const place = event.target.closest("[data-copy], button[data-act], [data-notebook]");
    if (!place || !box.contains(place) || place.disabled) return;
    if (place.dataset.notebook !== undefined) {
      if (!event.ctrlKey && !event.metaKey && !event.shiftKey) aim(place);
      return;
    }
    event.preventDefault();
    if (place.dataset.copy !== undefined) copy(place);
    else if (event.detail < 2) act("act", place, place.dataset.value ?? "");  // a double click is one press
  });
  box.addEventListener("change", (event) => {
    const place = event.target.closest("select[data-act], input[data-act]");
    if (place) act("choose", place, place.value);
  });
  box.addEventListener("keydown", (event) => event.stopPropagation());
  // What was asked for may be below the visible part.
  function reveal() {
    const { top } = box.getBoundingClientRect();
    if (top < 0 || top > window.innerHeight * 0.7) box.scrollIntoView({ block: "start" });
  }
  const onMessage = (message, buffers) => {
    if (message.event === "download") save(message, buffers);
    else if (message.event === "reveal") requestAnimationFrame(reveal);
    else if (message.event === "clock") {
      ahead = Date.now() / 1000 - message.now;
      tick();
    }
  };
  model.on("change:html", changed);
  model.on("msg:custom", onMessage);
  draw();
  el.append(box);
  model.send({ event: "clock" });
  const timer = setInterval(tick, 500);

  let watch;
  if (model.get("reports_visible")) {
    watch = new IntersectionObserver((entries) => {
      if (!entries.at(-1).isIntersecting) return;
      sendAllTyped();
      model.send({ event: "visible", language: navigator.language });
    });
    watch.observe(box);
  }
  return () => {
    clearInterval(timer);
    watch?.disconnect();
    model.off("change:html", changed);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
