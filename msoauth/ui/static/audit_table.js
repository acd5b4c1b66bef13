// The notebook's side of the table: the rows come as a message, so that ten thousand of them are never saved with
// the notebook, and a click on an account goes back as one.

function render({ model, el }) {
  const host = document.createElement("div");
  host.className = "mso mt";
  host.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(host);
  let shown = null;
  const heard = (message) => steady(() => {
    if (message.event === "data") {
      if (shown && message.same) shown.update(message.data.rows);
      else {
        shown?.close();
        shown = table(host, message.data, (address) => model.send(stamped({ event: "open", value: address })));
      }
    } else if (message.event === "choose") shown?.choose(message.key, message.value);
  })();
  model.on("msg:custom", heard);
  model.send(stamped({ event: "ready" }));
  return () => { model.off("msg:custom", heard); shown?.close(); };
}

export default { render };
