// Masks attributes of spans and log records, and drops log records of severities that nobody reads.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { changePairs, column, dictionary, noEdits, refuse } from './isinglass.js';

const KEY = 0;
const SEVERITY = 1;
// Values of attributes are JSON text.
const MASK = '"***"';

let keys = new Set();
let dropSeverities = new Set();

export const lifecycle = {
  describe() {
    const requests = ['logs', 'spans'].map((shape) => dictionary(shape, KEY, 'attr.key'));
    requests.push(dictionary('logs', SEVERITY, 'severity', true));
    return { name: NAME, version: VERSION, requests, configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { keys: masked = [], drop_severities: dropped = [], ...unknown } = JSON.parse(text);
    const others = Object.keys(unknown);
    if (others.length > 0) throw `unknown keys: ${others.join(', ')}; known: keys, drop_severities`;
    keys = new Set(masked);
    dropSeverities = new Set(dropped);
  },
};

// Keys belong to entries of rows, and so does what is changed.
function masked(attributes) {
  const isMasked = attributes.distinct.map((key) => keys.has(key));
  const entries = [];
  if (isMasked.includes(true)) {
    attributes.keys.forEach((key, entry) => {
      if (isMasked[key]) entries.push(entry);
    });
  }
  return entries.length > 0 ? [changePairs('attributes', entries, MASK)] : [];
}

export const transform = {
  run(batch) {
    const edits = { ...noEdits(), pairs: masked(column(batch, KEY)) };
    if (column(batch, SEVERITY) === undefined) return edits;
    const { rows, reasons } = refuse(batch, SEVERITY, (severity) =>
      dropSeverities.has(severity) ? { code: 'severity', message: `nobody reads ${severity}` } : undefined,
    );
    return { ...edits, drops: rows, reasons };
  },
};
