// A table of ten thousand rows: only those in sight are drawn. Sorting by a click on a heading, filtering by words
// and by choice. Cells are set as text, never as HTML.

const ROW = 31; // pixels; the style sheet says the same

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// data: { columns: [{key, heading, kind}], rows: [[…]], signals: {id: [shape, word]}, changes: {id: word}, causes: {id: title}, words: {…} }
export function table(host, data, opened) {
  const { columns, words } = data;
  let rows = data.rows;
  const at = Object.fromEntries(columns.map((column, place) => [column.key, place]));
  const rank = Object.fromEntries(Object.keys(data.signals).map((id, place) => [id, place]));
  let sorted = { place: "signal" in at ? at.signal : null, down: false }; // what is worst first
  let seen = [];
  const texts = new WeakMap();

  function said(column, value) {
    if (value === null || value === undefined) return "";
    if (column.kind === "signal") return (data.signals[value] || ["", value]).join(" ");
    if (column.kind === "change") return data.changes[value] || "";
    if (column.kind === "flag") return value ? words.yes : "";
    return String(value);
  }

  const name = (column, value) => (column.key === "cause" && data.causes[value]) || said(column, value);

  const find = element("input", { type: "search", placeholder: words.find, "aria-label": words.find, class: "mt-find" });
  const choices = ["firm", "signal", "cause", "change"].filter((key) => key in at).map((key) => {
    const column = columns[at[key]];
    const choice = element("select", { "aria-label": column.heading, "data-filter": key });
    choice.addEventListener("change", refresh);
    return { key, place: at[key], column, choice };
  });
  const count = element("span", { class: "mt-count", role: "status" });
  const clear = element("button", { type: "button", class: "mt-clear" }, words.all);
  clear.addEventListener("click", () => {
    find.value = "";
    for (const { choice } of choices) choice.value = "";
    refresh();
  });
  const bar = element("div", { class: "mt-bar" }, find, ...choices.map(({ choice }) => choice), clear, count);

  const heads = columns.map((column, place) => {
    const button = element("button", { type: "button" }, column.heading);
    button.addEventListener("click", () => {
      sorted = { place, down: sorted.place === place ? !sorted.down : false };
      refresh();
    });
    return element("th", { scope: "col", class: `mt-${column.kind} mt-col-${column.key}` }, button);
  });
  const body = element("tbody", {});
  const grid = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const scroll = element("div", { class: "mt-scroll", tabindex: "0", role: "region", "aria-label": words.table }, grid);
  host.replaceChildren(bar, scroll);

  function options() {
    for (const { place, column, choice } of choices) {
      const kept = choice.value;
      const values = [...new Set(rows.map((row) => row[place]).filter((value) => value))];
      values.sort((a, b) => (column.kind === "signal" ? rank[a] - rank[b] : name(column, a).localeCompare(name(column, b))));
      choice.replaceChildren(element("option", { value: "" }, `${column.heading}: ${words.every}`),
        ...values.map((value) => element("option", { value }, name(column, value))));
      choice.value = values.includes(kept) ? kept : "";
      choice.hidden = !values.length;
    }
  }

  function text(row) {
    if (!texts.has(row)) texts.set(row, row.map((value, place) => said(columns[place], value)).join("\u0001").toLowerCase());
    return texts.get(row);
  }

  function compare(a, b) {
    const { place, down } = sorted;
    const column = columns[place];
    const [x, y] = [a[place], b[place]];
    const none = (value) => value === null || value === "" || value === undefined;
    if (none(x) || none(y)) return none(x) - none(y); // what is empty comes last, whichever way
    let order;
    if (column.kind === "signal") order = rank[x] - rank[y];
    else if (typeof x === "number" || typeof x === "boolean") order = x - y;
    else order = x < y ? -1 : x > y ? 1 : 0;
    return down ? -order : order;
  }

  function refresh() {
    const asked = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = choices.filter(({ choice }) => choice.value);
    seen = rows.filter((row) => chosen.every(({ place, choice }) => row[place] === choice.value)
      && (!asked.length || asked.every((word) => text(row).includes(word))));
    if (sorted.place !== null) seen = [...seen].sort(compare);
    heads.forEach((head, place) => {
      if (sorted.place === place) head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    count.textContent = words.count.replace("{shown}", seen.length.toLocaleString()).replace("{all}", rows.length.toLocaleString());
    clear.hidden = !asked.length && !chosen.length;
    grid.setAttribute("aria-rowcount", seen.length + 1);
    scroll.scrollTop = 0;
    draw(true);
  }

  let drawn = "";
  function draw(always) {
    const first = Math.max(0, Math.floor(scroll.scrollTop / ROW) - 8);
    const last = Math.min(seen.length, first + Math.ceil((scroll.clientHeight || 600) / ROW) + 16);
    const range = `${first}-${last}`;
    if (!always && range === drawn) return;
    drawn = range;
    const made = [element("tr", { class: "mt-pad", "aria-hidden": "true", style: `height:${first * ROW}px` })];
    for (let place = first; place < last; place += 1) made.push(line(seen[place], place));
    made.push(element("tr", { class: "mt-pad", "aria-hidden": "true", style: `height:${(seen.length - last) * ROW}px` }));
    body.replaceChildren(...made);
  }

  function line(row, place) {
    const cells = columns.map((column, number) => {
      const shown = said(column, row[number]);
      const cell = element("td", { class: `mt-${column.kind} mt-col-${column.key}`, title: shown.length > 20 ? shown : null });
      if (column.kind === "signal") cell.classList.add(`mt-is-${row[number]}`);
      if (opened && column.key === "account") {
        const button = element("button", { type: "button", class: "mt-open" }, shown);
        button.addEventListener("click", () => opened(row[number]));
        cell.append(button);
      } else {
        cell.textContent = shown;
      }
      return cell;
    });
    return element("tr", { "aria-rowindex": place + 2 }, ...cells);
  }

  let waiting = 0;
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 120); });
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)), { passive: true });
  // Shortcuts of the page around must not act on what is typed here.
  bar.addEventListener("keydown", (event) => event.stopPropagation());
  const sized = new ResizeObserver(() => draw(true));
  sized.observe(scroll);
  options();
  refresh();
  return {
    update(fresh) { rows = fresh; options(); const top = scroll.scrollTop; refresh(); scroll.scrollTop = top; },
    choose(key, value) {
      const found = key === "find" ? { choice: find } : choices.find((one) => one.key === key);
      if (found) { found.choice.value = value; refresh(); }
    },
    close() { sized.disconnect(); clearTimeout(waiting); },
  };
}
