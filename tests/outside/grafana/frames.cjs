// Answers of a Prometheus API as the data frames, in JSON, that the client library expects of
// Grafana's server.
'use strict';

/** Values that JSON has no number for go beside the column, by their rows. */
const ENTITIES = { NaN: 'NaN', '+Inf': 'Inf', '-Inf': 'NegInf' };

function numbers(texts) {
  const entities = {};
  texts.forEach((text, row) => {
    if (text in ENTITIES) (entities[ENTITIES[text]] ??= []).push(row);
  });
  return { values: texts.map((text) => (text in ENTITIES ? null : Number(text))), entities };
}

function series(resultType, { metric = {}, values }) {
  const { values: column, entities } = numbers(values.map(([, value]) => value));
  const fields = [
    { name: 'Time', type: 'time', config: {} },
    { name: metric.__name__ ?? 'Value', type: 'number', labels: metric, config: {} },
  ];
  return {
    schema: { fields, meta: { type: 'timeseries-multi', custom: { resultType } } },
    data: { values: [values.map(([time]) => time * 1000), column], entities: [null, entities] },
  };
}

/** A frame for each series of an answer to `query` or `query_range`. */
function toFrames({ resultType, result }) {
  if (resultType === 'scalar') return [series(resultType, { values: [result] })];
  return result.map(({ metric, value, values }) => series(resultType, { metric, values: values ?? [value] }));
}

/** One frame of all exemplars, a column for each label of theirs or of their series. */
function toExemplars(found) {
  const rows = found.flatMap(({ seriesLabels, exemplars }) =>
    exemplars.map(({ labels, timestamp, value }) => ({
      Time: timestamp * 1000,
      Value: Number(value),
      ...seriesLabels,
      ...labels,
    }))
  );
  const names = [...new Set(['Time', 'Value', ...rows.flatMap(Object.keys)])];
  const type = (name) => ({ Time: 'time', Value: 'number' })[name] ?? 'string';
  return {
    schema: {
      fields: names.map((name) => ({ name, type: type(name), config: {} })),
      meta: { custom: { resultType: 'exemplar' } },
    },
    data: { values: names.map((name) => rows.map((row) => row[name] ?? null)) },
  };
}

module.exports = { toFrames, toExemplars };
