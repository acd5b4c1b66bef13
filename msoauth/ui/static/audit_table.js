// The audit's table in a notebook. Rows arrive as a message, so that they are never saved with the notebook; a click on
// an account is sent back as one.

function render({ model, el }) {
  const host = document.createElement("div");
  host.className = "mso mt";
  host.addEventListener("keydown", (event) => event.stopPropagation());
  el.append(host);
  let shown = null;
  const onMessage = (message) => afterPress(() => {
    if (message.event === "data") {
      if (shown && message.same) shown.update(message.data.rows);
      else {
        shown?.close();
        shown = table(host, message.data, (address) => model.send(numbered({ event: "open", value: address })));
      }
    } else if (message.event === "choose") shown?.choose(message.key, message.value);
  })();
  model.on("msg:custom", onMessage);
  model.send(numbered({ event: "ready" }));
  return () => { model.off("msg:custom", onMessage); shown?.close(); };
}

export default { render };
