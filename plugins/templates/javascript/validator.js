// Refuses the spans and log records of services that are not wanted.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { dictionary, refuse } from './isinglass.js';

const SERVICE = 0;

let services = new Set();

export const lifecycle = {
  describe() {
    const requests = ['logs', 'spans'].map((shape) => dictionary(shape, SERVICE, 'service'));
    return { name: NAME, version: VERSION, requests, configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { services: denied = [], ...unknown } = JSON.parse(text);
    const keys = Object.keys(unknown);
    if (keys.length > 0) throw `unknown keys: ${keys.join(', ')}; known: services`;
    services = new Set(denied);
  },
};

export const validate = {
  run(batch) {
    return refuse(batch, SERVICE, (service) =>
      services.has(service) ? { code: 'service_denied', message: `service ${service} is not wanted` } : undefined,
    );
  },
};
