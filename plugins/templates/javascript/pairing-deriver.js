// Counts calls between services: a client's span and the server's span below it, in whatever order
// and requests they come. The host keeps a span until the other side of its call is there.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { column, dictionary, textColumn, values } from './isinglass.js';

const [SERVICE, KIND, TRACE_ID, SPAN_ID, PARENT, DURATION] = [0, 1, 2, 3, 4, 5];
const [CALLS, UNPAIRED, SECONDS] = [0, 1, 2];
const SECOND = 1;

let wait;

function metric(name, kind, help, bounds) {
  const classic = bounds.length > 0;
  return { name, kind, help, unit: classic ? 's' : '', classic, bounds, exponentialBucketsMax: 0 };
}

export const lifecycle = {
  describe() {
    const requests = [
      dictionary('spans', SERVICE, 'service'),
      dictionary('spans', KIND, 'kind'),
      values('spans', TRACE_ID, 'trace_id'),
      values('spans', SPAN_ID, 'span_id'),
      values('spans', PARENT, 'parent_span_id', true),
      values('spans', DURATION, 'duration'),
    ];
    return { name: NAME, version: VERSION, requests, configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { wait_ms: waitMs = 10000, ...unknown } = JSON.parse(text);
    const keys = Object.keys(unknown);
    if (keys.length > 0) throw `unknown keys: ${keys.join(', ')}; known: wait_ms`;
    if (!(Number.isInteger(waitMs) && waitMs >= 1 && waitMs <= 600000)) throw `wait_ms = ${waitMs} must be 1 to 600000`;
    wait = waitMs;
  },
};

export const derivePairs = {
  declare() {
    return {
      metrics: [
        metric('service_calls_total', 'counter', 'Calls.', []),
        metric('service_calls_unpaired_total', 'counter', 'Spans whose other side did not come.', []),
        metric('service_call_seconds', 'histogram', 'Their duration at the server.', [0.01, 0.1, 1]),
      ],
      pairing: {
        waitMs: wait,
        pendingMax: 10000,
        additions: [
          { metric: CALLS, rule: 'pairs' },
          { metric: UNPAIRED, rule: 'unpaired' },
          { metric: SECONDS, rule: 'second-value' },
        ],
        exemplars: true,
      },
      exemplarLabel: '',
    };
  },

  run(batch) {
    const service = column(batch, SERVICE);
    const kind = column(batch, KIND);
    const traceIds = column(batch, TRACE_ID).data.data;
    const spanIds = column(batch, SPAN_ID).data.data;
    const parent = column(batch, PARENT);
    const durations = column(batch, DURATION).data;

    const services = service.distinct.length;
    const [rows, keys, flags, seconds, sets] = [[], [], [], [], []];
    for (let row = 0; row < batch.rows; row++) {
      const of = kind.distinct[kind.keys[row]];
      const isServer = of === 'server' && parent?.isValid(row);
      if (!isServer && of !== 'client') continue;
      // The two sides of a call have the id of the client's span in common.
      const call = isServer ? parent.data.data : spanIds;
      rows.push(row);
      for (let at = 16 * row; at < 16 * row + 16; at++) keys.push(traceIds[at]);
      for (let at = 8 * row; at < 8 * row + 8; at++) keys.push(call[at]);
      flags.push(isServer ? SECOND : 0);
      seconds.push(Math.max(Number(durations[row]), 0) / 1e9);
      sets.push(service.keys[row] + (isServer ? services : 0));
    }

    // A label set for each service as client and another one for each as server; the text behind
    // all services stands for none.
    const label = (name, keyOf) => ({
      name,
      keys: Uint32Array.from({ length: 2 * services }, (_, set) => keyOf(set)),
      values: { tag: 'own', val: textColumn([...service.distinct, '']) },
    });
    return {
      tables: [],
      halves: {
        rows: Uint32Array.from(rows),
        keys: Uint8Array.from(keys),
        flags: Uint8Array.from(flags),
        values: Float64Array.from(seconds),
        times: [],
        weights: [],
        sets: Uint32Array.from(sets),
        setCount: 2 * services,
        labels: [
          label('client', (set) => Math.min(set, services)),
          label('server', (set) => (set < services ? services : set - services)),
        ],
        alone: [],
      },
    };
  },
};
