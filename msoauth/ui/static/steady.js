// A click counts only where the mouse is both pressed and let go. So whatever the kernel wants drawn meanwhile, which
// may take the place of what is pressed or move it, waits until the click is through; every widget's module asks here.

const pressing = (globalThis.msoauthPressing ??= watchPresses());

function watchPresses() {
  const pressing = { now: false, late: new Set() };
  const begins = (event) => {
    if (event.target.closest?.(".mso :is(button, summary, a, label, input)")) pressing.now = true;
  };
  const ends = () => {
    if (!pressing.now) return;
    pressing.now = false;
    setTimeout(() => {  // the click comes first
      if (pressing.now) return;
      const late = [...pressing.late];
      pressing.late.clear();
      late.forEach((draw) => draw());
    });
  };
  const listen = (type, heard) => window.addEventListener(type, heard, { capture: true, passive: true });
  listen("pointerdown", (event) => { if (event.button === 0) begins(event); });
  listen("keydown", (event) => { if (event.key === " " && event.target.matches?.("button, summary")) begins(event); });
  for (const type of ["pointerup", "pointercancel", "keyup"]) listen(type, ends);
  // Where it was let go out of sight.
  listen("blur", (event) => { if (event.target === window) ends(); });
  listen("pointermove", (event) => { if (event.pointerType === "mouse" && !event.buttons) ends(); });
  return pressing;
}

// *draw* as something that waits while anything is pressed, and is then done once.
const steady = (draw) => () => (pressing.now ? pressing.late.add(draw) : draw());

