// What the client library reads of a browser when it is loaded: a place, an empty storage and
// the settings of a Grafana.
'use strict';

process.env.NODE_ENV = 'test'; // keeps the history of pages in memory
const settings = { buildInfo: { version: '0.0.0' }, featureToggles: {} };
globalThis.window = globalThis;
Object.assign(globalThis, {
  location: new URL('http://localhost:3000/'),
  addEventListener() {},
  removeEventListener() {},
  matchMedia: () => ({ matches: false }),
  grafanaBootData: { settings, user: {}, navTree: [] },
});
