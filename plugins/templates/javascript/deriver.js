// Counts log records by service and severity.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { column, dictionary, textColumn } from './isinglass.js';

const SERVICE = 0;
const SEVERITY = 1;

let metric;

export const lifecycle = {
  describe() {
    const requests = [dictionary('logs', SERVICE, 'service'), dictionary('logs', SEVERITY, 'severity', true)];
    return { name: NAME, version: VERSION, requests, configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { metric: name = 'log_records_total', ...unknown } = JSON.parse(text);
    const keys = Object.keys(unknown);
    if (keys.length > 0) throw `unknown keys: ${keys.join(', ')}; known: metric`;
    metric = name;
  },
};

export const derive = {
  metrics() {
    return [{ name: metric, kind: 'counter', help: 'Log records.', unit: '', bounds: [] }];
  },

  run(batch) {
    const service = column(batch, SERVICE);
    const severity = column(batch, SEVERITY);
    // The severity behind all others stands for none.
    const severities = [...(severity?.distinct ?? []), ''];
    const none = severities.length - 1;

    const counts = new Map();
    for (let row = 0; row < batch.rows; row++) {
      const level = severity?.isValid(row) ? severity.keys[row] : none;
      const group = service.keys[row] * severities.length + level;
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }

    const groups = [...counts.keys()];
    const labels = [
      {
        name: 'service',
        keys: Uint32Array.from(groups, (group) => Math.floor(group / severities.length)),
        values: { tag: 'input', val: SERVICE },
      },
      {
        name: 'severity',
        keys: Uint32Array.from(groups, (group) => group % severities.length),
        values: { tag: 'own', val: textColumn(severities) },
      },
    ];
    return {
      series: groups.length,
      labels,
      increments: [{ metric: 0, values: Float64Array.from(counts.values()), buckets: [] }],
      exemplars: { metric: [], series: [], value: [], row: [] },
    };
  },
};
