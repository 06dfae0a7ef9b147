// Gives every service a token bucket of its own; a span or log record costs 1.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { column, dictionary } from './isinglass.js';

const SERVICE = 0;
const NOTHING = { buckets: [], bucketOfCost: [], cost: [] };

let rates;

export const lifecycle = {
  describe() {
    const requests = ['logs', 'spans'].map((shape) => dictionary(shape, SERVICE, 'service'));
    return { name: NAME, version: VERSION, requests, configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { items_per_second: ratePerSecond, burst, ...unknown } = JSON.parse(text);
    const keys = Object.keys(unknown);
    if (keys.length > 0) throw `unknown keys: ${keys.join(', ')}; known: items_per_second, burst`;
    if (!(ratePerSecond > 0)) throw 'items_per_second is missing, or not above 0';
    if (!(burst > 0)) throw 'burst is missing, or not above 0';
    rates = { ratePerSecond, burst };
  },
};

export const limit = {
  admit() {
    return NOTHING;
  },

  run(batch) {
    const service = column(batch, SERVICE);
    if (service === undefined) return NOTHING;
    const rows = new Float64Array(service.distinct.length);
    for (const key of service.keys) rows[key] += 1;
    const used = [...rows.keys()].filter((key) => rows[key] > 0);
    return {
      buckets: used.map((key) => ({ key: `service/${service.distinct[key]}`, ...rates })),
      bucketOfCost: Uint32Array.from(used.keys()),
      cost: Float64Array.from(used, (key) => rows[key]),
    };
  },
};
