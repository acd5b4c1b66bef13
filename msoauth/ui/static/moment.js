// A kernel may hear two messages the other way round, so each says when on this page it was made; every widget's
// module counts on.

const page = (globalThis.msoauthPage ??= { name: Math.random().toString(36).slice(2), moment: 0 });

const tick = () => (page.moment += 1);

const stamped = (message) => ({ ...message, page: page.name, moment: tick() });

