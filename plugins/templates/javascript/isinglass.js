// Reads the columns of a batch and writes answers, for plugins in JavaScript.
//
// Numbers come as typed arrays, so that nothing is copied row by row. Ask for text as a
// dictionary where you can: ten thousand rows have some ten distinct values.

// UTF-8 to text; `data` is a Uint8Array.
function utf8(data, start, end) {
  let text = '';
  for (let at = start; at < end; ) {
    const byte = data[at++];
    if (byte < 0x80) {
      text += String.fromCharCode(byte);
    } else {
      const more = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      let code = byte & (0x3f >> more);
      for (let i = 0; i < more; i++) code = (code << 6) | (data[at++] & 0x3f);
      text += String.fromCodePoint(code);
    }
  }
  return text;
}

// The values of a column of text.
export function texts({ offsets, data }) {
  const bytes = data instanceof Uint8Array ? data : Uint8Array.from(data);
  const values = [];
  for (let at = 0; at + 1 < offsets.length; at++) values.push(utf8(bytes, offsets[at], offsets[at + 1]));
  return values;
}

// Text as a column, the other way round.
export function textColumn(values) {
  const offsets = [0];
  const data = [];
  for (const value of values) {
    for (const character of encodeURIComponent(value).matchAll(/%(..)|[^%]/g)) {
      data.push(character[1] ? parseInt(character[1], 16) : character[0].charCodeAt(0));
    }
    offsets.push(data.length);
  }
  return { offsets: Int32Array.from(offsets), data: Uint8Array.from(data) };
}

// Asks for a column of text as keys and distinct values.
export function dictionary(shape, slot, name, optional = false) {
  return { shape, slot, name, encoding: 'dictionary', optional };
}

// Asks for a column as it is.
export function values(shape, slot, name, optional = false) {
  return { shape, slot, name, encoding: 'values', optional };
}

// The column in `slot`, undefined if this batch does not have it: `data` as the interface has it,
// of a dictionary `keys` and `distinct`, and `isValid(row)`, which is true of all rows unless
// `hasNulls`.
export function column(batch, slot) {
  const found = batch.columns.find((column) => column.slot === slot);
  if (found === undefined) return undefined;
  const { data, validity } = found;
  const hasNulls = Boolean(validity);
  const isValid = validity ? (row) => ((validity[row >> 3] >> (row & 7)) & 1) === 1 : () => true;
  if (data.tag !== 'dictionary') return { data: data.val, isValid, hasNulls };
  return { keys: data.val.keys, distinct: texts(data.val), isValid, hasNulls };
}

// Verdicts that depend on one dictionary column: `reason` is asked once per distinct value and
// gives { code, message } of a refusal, or undefined.
export function refuse(batch, slot, reason) {
  const { keys, distinct, isValid, hasNulls } = column(batch, slot);
  const reasons = [];
  const verdicts = distinct.map((value) => {
    const refused = reason(value);
    // One byte points to a reason: the 255th stands for all that come after.
    if (refused && reasons.length < 255) reasons.push(refused);
    return refused ? reasons.length : 0;
  });
  const rows = new Uint8Array(reasons.length > 0 ? batch.rows : 0);
  if (hasNulls) {
    for (let row = 0; row < rows.length; row++) rows[row] = isValid(row) ? verdicts[keys[row]] : 0;
  } else {
    for (let row = 0; row < rows.length; row++) rows[row] = verdicts[keys[row]];
  }
  return { rows, reasons };
}

// Edits of a transformer that change nothing yet.
export function noEdits() {
  return { drops: new Uint8Array(0), reasons: [], texts: [], numbers: [], pairs: [] };
}

// One new value for several entries of keys and values, whose numbers ascend.
export function changePairs(of, entries, value) {
  const none = new Uint32Array(0);
  const values = textColumn([]);
  return {
    of,
    removed: none,
    renamed: { at: none, keys: none, values },
    changed: { at: Uint32Array.from(entries), keys: new Uint32Array(entries.length), values: textColumn([value]) },
    added: { rows: none, names: none, texts: none, values },
  };
}

// Floats as the column that a function gives, null where `isValid(row)` is false.
export function floatColumn(values, isValid) {
  const validity = new Uint8Array((values.length + 7) >> 3);
  for (let row = 0; row < values.length; row++) if (isValid(row)) validity[row >> 3] |= 1 << (row & 7);
  return { slot: 0, validity, data: { tag: 'numbers-f64', val: Float64Array.from(values) } };
}
