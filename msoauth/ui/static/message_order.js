// A kernel may handle two messages in the wrong order, so each carries its page's name and a number that counts up;
// all widgets of a page share the count. What is typed is sent a moment later: every other message sends it first, so
// that the kernel never shows stored values in place of what is being typed. A view that only reports
// itself, visible or new, gives no number: what was typed before it wins, even if the kernel handles that after it.

const page = (globalThis.msoauthPage ??= { name: Math.random().toString(36).slice(2), number: 0, sendTyped: new Set() });

const nextNumber = () => (page.number += 1);

const sendAllTyped = () => {
  for (const sendTyped of page.sendTyped) sendTyped();
};

const numbered = (message) => {
  sendAllTyped();
  return { ...message, page: page.name, number: nextNumber() };
};
