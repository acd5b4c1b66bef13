// A form: labelled fields with hints and errors, and buttons. Field values travel as messages, so that a
// secret never becomes part of the widget's state, which a notebook may save.

// Fields of which nothing is written into the widget's state.
const SECRET = new Set(["secret", "secret-area"]);

// Every form loads this module anew, so a count alone would give two forms of a page the same ids.
const ids = `mso-${Math.random().toString(36).slice(2)}`;
let count = 0;

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function input(field, id) {
  const shared = { id, name: field.name, placeholder: field.placeholder, autocomplete: "off", spellcheck: "false" };
  if (field.kind === "select") {
    return element("select", { id, name: field.name },
      ...field.options.map(([value, label]) => element("option", { value }, label)));
  }
  if (field.kind === "textarea" || field.kind === "secret-area") return element("textarea", { ...shared, rows: 6 });
  if (field.kind === "checkbox") return element("input", { id, name: field.name, type: "checkbox" });
  if (field.kind === "secret") {
    return element("input", { ...shared, type: "password", autocomplete: "new-password" });
  }
  if (field.kind === "file") return element("input", { id, name: field.name, type: "file", accept: field.accept });
  return element("input", { ...shared, type: field.kind || "text" });
}

const valueOf = (control) => (control.type === "checkbox" ? control.checked : control.value);

function put(control, value) {
  if (control.type === "file") return;
  if (control.type === "checkbox") control.checked = Boolean(value);
  else if (control.value !== value) control.value = value ?? "";
}

function render({ model, el }) {
  const controls = new Map();
  const errors = new Map();
  const presses = new Map();
  const since = new Map();  // by field: the number of the last input that the kernel has not overwritten
  const unsent = new Map();  // by field: the timer of an input not sent yet
  const grid = element("div", { class: "mso-fields" });
  const bar = element("div", { class: "mso-buttons" });
  const form = element("form", { class: "mso mso-form", novalidate: true }, grid, bar);

  async function upload(field, control) {
    const file = control.files[0];
    if (!file) return;
    const content = await file.arrayBuffer();
    control.value = "";  // the same file may be chosen again after a correction
    model.send(numbered({ event: "file", name: field.name, file: file.name }), undefined, [content]);
  }

  function send(name) {
    clearTimeout(unsent.get(name));
    if (unsent.delete(name)) {
      const value = valueOf(controls.get(name));
      model.send({ ...numbered({ event: "input", name, value }), number: since.get(name) });
    }
  }

  function typed(name) {
    clearTimeout(unsent.get(name));
    since.set(name, nextNumber());
    unsent.set(name, setTimeout(() => send(name), 150));
  }

  function sendTyped() {
    for (const name of [...unsent.keys()]) send(name);
  }

  // The typed values are sent along: their own messages may be handled later than this one.
  function press(name) {
    const own = [...since].map(([field, number]) => [field, { value: valueOf(controls.get(field)), number }]);
    model.send(numbered({ event: "press", name, typed: Object.fromEntries(own) }));
  }

  function pasted(event, field) {
    const text = event.clipboardData?.getData("text") ?? "";
    if (field.kind === "textarea" || field.kind === "secret-area" || !/\S[\r\n]+\S|:\s*[0-9a-f]{8}-[0-9a-f]{4}-/i.test(text)) return;
    event.preventDefault();
    model.send(numbered({ event: "block", name: field.name, text }));
  }

  function forget(name) {
    clearTimeout(unsent.get(name));
    unsent.delete(name);
    since.delete(name);
  }

  // What the kernel holds for a field; for a secret, only whether there is one.
  function known(field) {
    if (!SECRET.has(field.kind)) return model.get("values")[field.name];
    return model.get("kept").includes(field.name) ? "•".repeat(12) : "";
  }

  function fields() {
    const kept = new Map([...controls].map(([name, control]) => [name, valueOf(control)]));
    const focused = document.activeElement?.name;
    const had = form.contains(document.activeElement);
    controls.clear();
    errors.clear();
    grid.replaceChildren();
    for (const field of model.get("fields")) {
      const id = `${ids}-${(count += 1)}`;
      const control = input(field, id);
      const error = element("div", { class: "mso-error", id: `${id}-error`, role: "alert" });
      const hint = element("div", { class: "mso-hint", id: `${id}-hint` }, field.hint ?? "");
      control.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
      if (field.kind === "file") control.addEventListener("change", () => upload(field, control));
      else {
        control.addEventListener("input", () => typed(field.name));
        control.addEventListener("change", () => send(field.name));
        control.addEventListener("paste", (event) => pasted(event, field));
      }
      put(control, since.has(field.name) ? kept.get(field.name) : known(field));
      if (control.selectedIndex === -1) put(control, known(field));  // the chosen option no longer exists
      controls.set(field.name, control);
      errors.set(field.name, error);
      grid.append(element("div", { class: `mso-field mso-${field.kind || "text"}` },
        element("label", { for: id }, field.label), control, hint, error));
      if (field.name === focused && had) control.focus();
    }
    for (const gone of [...since.keys()].filter((name) => !controls.has(name))) forget(gone);
    complain();
  }

  function complain() {
    const said = model.get("errors");
    for (const [name, place] of errors) {
      place.textContent = said[name] ?? "";
      controls.get(name).setAttribute("aria-invalid", said[name] ? "true" : "false");
    }
  }

  // The elements are kept, because one may have the focus.
  function buttons() {
    for (const button of model.get("buttons")) {
      if (!presses.has(button.name)) {
        const made = element("button",
          { type: button.primary ? "submit" : "button", class: button.primary ? "mso-primary" : "" }, button.label);
        made.addEventListener("click", (event) => {
          event.preventDefault();
          if (event.detail < 2) press(button.name);  // a double click is one press
        });
        presses.set(button.name, made);
        bar.append(made);
      }
      presses.get(button.name).disabled = Boolean(button.disabled);
    }
  }

  // Show what was typed into another view of this form, on this page or another.
  function follow() {
    for (const field of model.get("fields")) {
      const control = controls.get(field.name);
      if (control && !since.has(field.name)) put(control, known(field));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = model.get("buttons").find((button) => button.primary && !button.disabled);
    if (first) press(first.name);
  });
  // The notebook's keyboard shortcuts must not act on what is typed here.
  form.addEventListener("keydown", (event) => event.stopPropagation());

  const onMessage = (message) => {
    if (message.event !== "set") return;
    for (const [name, value] of Object.entries(message.values)) {
      const control = controls.get(name);
      // A later input is still on its way to the kernel, and wins.
      if (!control || (message.page === page.name && since.get(name) > message.number)) continue;
      forget(name);
      put(control, value);
    }
  };
  const listeners = {
    "change:fields": afterPress(fields),
    "change:errors": afterPress(complain),
    "change:buttons": afterPress(buttons),
    "change:values": follow,
    "change:kept": follow,
    "msg:custom": onMessage,
  };
  for (const [event, listener] of Object.entries(listeners)) model.on(event, listener);
  page.sendTyped.add(sendTyped);
  fields();
  buttons();
  if (model.get("fold")) {
    el.append(element("details", { class: "mso mso-fold" }, element("summary", {}, model.get("fold")), form));
  } else el.append(form);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) model.off(event, listener);
    sendTyped();  // the last keystrokes
    page.sendTyped.delete(sendTyped);
  };
}

export default { render };
