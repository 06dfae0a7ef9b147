// Functions for SQL and PromQL: the nearest multiple of a step, and a harmonic mean.

import { CONFIG_SCHEMA, NAME, VERSION } from './plugin_info.js';
import { column, floatColumn } from './isinglass.js';

// They are called by their place in the list.
const NEAREST_STEP = 0;
const STATE_BYTES = 16;

let step = 1;

export const lifecycle = {
  describe() {
    // Arguments are handed over; nothing is read of batches.
    return { name: NAME, version: VERSION, requests: [], configSchema: CONFIG_SCHEMA };
  },

  configure(text) {
    const { step: given = 1, ...unknown } = JSON.parse(text);
    const keys = Object.keys(unknown);
    if (keys.length > 0) throw `unknown keys: ${keys.join(', ')}; known: step`;
    if (!(given > 0)) throw 'step must be a number above 0';
    step = given;
  },
};

function declared(name, kind, help) {
  return { name, kind, arguments: ['float64'], returns: 'float64', volatility: 'immutable', help };
}

// What is known of each group, [values, sum of their reciprocals], as byte strings. The one of a
// group without values is empty.
function written(groups) {
  const offsets = new Int32Array(groups.length + 1);
  const data = new Uint8Array(STATE_BYTES * groups.length);
  let end = 0;
  groups.forEach((state, group) => {
    if (state[0] > 0) {
      data.set(new Uint8Array(Float64Array.from(state).buffer), end);
      end += STATE_BYTES;
    }
    offsets[group + 1] = end;
  });
  return { offsets, data: data.slice(0, end) };
}

function read({ offsets, data }) {
  const bytes = Uint8Array.from(data);
  const state = (at) =>
    offsets[at] === offsets[at + 1] ? [0, 0] : new Float64Array(bytes.slice(offsets[at], offsets[at + 1]).buffer);
  return Array.from({ length: offsets.length - 1 }, (_, at) => state(at));
}

const empty = (groups) => Array.from({ length: groups }, () => [0, 0]);

// The group of a row or state; no numbers stand for one group.
const groupOf = (groups, at) => (groups.length > 0 ? groups[at] : 0);

export const compute = {
  functions() {
    return [
      declared('nearest_step', 'scalar', 'The nearest multiple of the configured step.'),
      declared('harmonic_mean', 'aggregate', 'Harmonic mean of positive values.'),
    ];
  },

  call(which, rows, columns) {
    if (which !== NEAREST_STEP) throw { row: undefined, message: 'no scalar function' };
    const { data, isValid } = column({ columns }, 0);
    return floatColumn(Float64Array.from(data, (value) => Math.floor(value / step + 0.5) * step), isValid);
  },

  accumulate(which, groups, groupOfRow, rows, columns) {
    const { data, isValid } = column({ columns }, 0);
    const states = empty(groups);
    for (let row = 0; row < rows; row++) {
      if (!isValid(row)) continue;
      if (data[row] <= 0) throw { row, message: 'harmonic_mean takes positive values only' };
      const state = states[groupOf(groupOfRow, row)];
      state[0] += 1;
      state[1] += 1 / data[row];
    }
    return written(states);
  },

  merge(which, groups, groupOfState, states) {
    const merged = empty(groups);
    read(states).forEach(([count, reciprocals], at) => {
      const state = merged[groupOf(groupOfState, at)];
      state[0] += count;
      state[1] += reciprocals;
    });
    return written(merged);
  },

  finish(which, states) {
    const groups = read(states);
    const means = groups.map(([count, reciprocals]) => count / reciprocals);
    return floatColumn(means, (group) => groups[group][0] > 0);
  },
};
