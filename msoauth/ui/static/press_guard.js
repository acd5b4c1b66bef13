// A click counts only if the mouse button is pressed and released on the same element. A redraw in between could replace
// or move that element, so redraws wait until the click has been handled. All widgets of a page share this.

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
  const listen = (type, listener) => window.addEventListener(type, listener, { capture: true, passive: true });
  listen("pointerdown", (event) => { if (event.button === 0) begins(event); });
  listen("keydown", (event) => { if (event.key === " " && event.target.matches?.("button, summary")) begins(event); });
  for (const type of ["pointerup", "pointercancel", "keyup"]) listen(type, ends);
  // Released outside the window.
  listen("blur", (event) => { if (event.target === window) ends(); });
  listen("pointermove", (event) => { if (event.pointerType === "mouse" && !event.buttons) ends(); });
  return pressing;
}

// Returns a function that draws at once, or once after the release while something is pressed.
const afterPress = (draw) => () => (pressing.now ? pressing.late.add(draw) : draw());

