// A kernel may handle two messages in the wrong order, so each carries its page's name and a number that counts up;
// all widgets of a page share the count.

const page = (globalThis.msoauthPage ??= { name: Math.random().toString(36).slice(2), number: 0 });

const nextNumber = () => (page.number += 1);

const numbered = (message) => ({ ...message, page: page.name, number: nextNumber() });
