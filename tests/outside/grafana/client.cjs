// Drives Grafana's own client library, `@grafana/prometheus`, against a Prometheus API, without
// a Grafana.
//
//     client.cjs ADDRESS END
//
// END is the end of the half hour that is asked about, in milliseconds since 1970. Prints one
// JSON object: what the library made of the answers, by what it was asked for, and the requests
// that it took. NODE_PATH names the node_modules that package.json asks for. The library is AGPL-3.0:
// it is fetched to be run here, and nothing of it is part of this repository.
'use strict';

require('./window.cjs');
require('./nothing.cjs');
const { dateTime } = require('@grafana/data');
const { PrometheusDatasource } = require('@grafana/prometheus');
const { version } = require('@grafana/prometheus/package.json');
const { setBackendSrv, setTemplateSrv } = require('@grafana/runtime');
const { lastValueFrom } = require('rxjs');
const { Backend } = require('./backend.cjs');

const [address, end] = [process.argv[2], Number(process.argv[3])];
const backend = new Backend(address);
const span = { from: dateTime(end - 1_800_000), to: dateTime(end) };
const range = { ...span, raw: span };

/** A variable of a dashboard; two of its values are chosen. */
const variable = { name: 'instance', multi: true, value: ['0', '1'] };
const templates = {
  getVariables: () => [variable],
  containsTemplate: (text) => /\$instance/.test(text ?? ''),
  replace(text, scoped = {}, format = String) {
    const known = { instance: variable, ...scoped };
    const value = (name) => (known[name] === variable ? format(variable.value, variable) : known[name].value);
    return text?.replace(/\$(\w+)/g, (all, name) => (name in known ? value(name) : all));
  },
};

/** A data source as it stands in Grafana, with these settings. */
function dataSource(jsonData = {}) {
  return new PrometheusDatasource({
    id: 1,
    uid: 'isinglass',
    type: 'prometheus',
    name: 'Isinglass',
    access: 'proxy',
    url: '',
    meta: {},
    jsonData: { cacheLevel: 'None', ...jsonData },
  });
}

/** What a panel would draw: per frame its kind and its columns. */
async function panel(source, target, more = {}) {
  const targets = [{ refId: 'A', range: true, ...target }];
  const request = { app: 'dashboard', panelId: 1, timezone: 'utc', intervalMs: 60_000, interval: '1m', range, targets };
  const answer = await lastValueFrom(source.query({ ...request, scopedVars: {}, filters: [], ...more }));
  const column = ({ name, labels, values }) => ({ name, labels, values: Array.from(values, printable) });
  const frame = ({ name, meta, fields }) => ({
    name,
    shown: meta.dataTopic ?? meta.preferredVisualisationType ?? meta.type,
    columns: fields.map(column),
  });
  return { error: answer.error?.message, frames: answer.data.map(frame) };
}

const printable = (value) => (Number.isFinite(value) || typeof value !== 'number' ? value : String(value));

/** What the editor knows once it is opened. */
async function editor(source) {
  const { languageProvider } = source;
  await languageProvider.start(range);
  return {
    metrics: languageProvider.retrieveMetrics(),
    histograms: languageProvider.retrieveHistogramMetrics(),
    labels: languageProvider.retrieveLabelKeys(),
    metadata: languageProvider.retrieveMetricsMetadata(),
  };
}

/** Names and values of labels, of all and of some series. */
async function labels({ languageProvider }) {
  return {
    names: await languageProvider.queryLabelKeys(range),
    names_of: await languageProvider.queryLabelKeys(range, '{__name__="temperature"}'),
    names_limited: await languageProvider.queryLabelKeys(range, undefined, 2),
    values: await languageProvider.queryLabelValues(range, 'job'),
    values_of: await languageProvider.queryLabelValues(range, 'instance', 'requests_total{instance!="0"}'),
    values_chosen: await languageProvider.queryLabelValues(range, 'instance', 'requests_total{instance=~"$instance"}'),
    values_dotted: await languageProvider.queryLabelValues(range, 'service.name'),
  };
}

/** What variables of a dashboard can be. */
async function variables(source) {
  const results = {};
  for (const query of [
    'label_names()',
    'label_names(temp)',
    'label_values(instance)',
    'label_values(requests_total, instance)',
    'label_values(latency_seconds_bucket{job="api"}, le)',
    'metrics(req.*)',
    'query_result(sum by (job) (requests_total))',
    'query_result(vector(1) > 2)',
    'query_result(scalar(vector(7)))',
    'temperature{room="a"}',
    'nothing_of_the_kind',
  ]) {
    results[query] = (await source.metricFindQuery(query, { range })).map(({ text }) => text);
  }
  return results;
}

/** Filters that a user puts upon a whole dashboard. */
async function filters(source) {
  const chosen = [{ key: 'job', operator: '=', value: 'api' }];
  const texts = (found) => found.map(({ text }) => text);
  return {
    names: texts(await source.getTagKeys({ filters: chosen, timeRange: range })),
    values: texts(await source.getTagValues({ key: 'le', filters: chosen, timeRange: range })),
  };
}

async function queries(source) {
  const short = { range: { from: dateTime(end - 120_000), to: span.to, raw: span } };
  const exact = { expr: 'requests_total', instant: true, range: false };
  return {
    instant: await panel(source, exact),
    table: await panel(source, { ...exact, format: 'table' }),
    range: await panel(source, { expr: 'round(sum by (job) (rate(requests_total[1m])), 0.1)' }, short),
    chosen: await panel(source, { expr: 'requests_total{instance=~"$instance"}' }, short),
    filtered: await panel(source, exact, { filters: [{ key: 'instance', operator: '=', value: '1' }] }),
    exemplars: await panel(source, { expr: 'requests_total{instance="0"}', exemplar: true }, short),
    heatmap: await panel(source, { expr: 'sum by (le) (latency_seconds_bucket)', format: 'heatmap' }, short),
    infinite: await panel(source, { ...exact, expr: 'temperature{room="b"}' }),
    scalar: await panel(source, { ...exact, expr: '1 + 1' }),
    nothing: await panel(source, { ...exact, expr: 'nothing_of_the_kind' }),
    mistake: await panel(source, { ...exact, expr: 'sum(' }),
  };
}

/** A panel that is drawn again a minute later and asks only for what is new. */
async function incremental() {
  const source = dataSource({ incrementalQuerying: true, incrementalQueryOverlapWindow: '1m' });
  const ask = (minutes) => {
    const to = dateTime(end - minutes * 60_000);
    const from = dateTime(to.valueOf() - 1_200_000);
    const now = { from, to, raw: { from: 'now-20m', to: 'now' } };
    const request = { range: now, rangeRaw: now.raw, requestId: 'Q1', dashboardUID: 'd', panelId: 1 };
    return panel(source, { expr: 'requests_total{instance="0"}' }, request);
  };
  return { first: await ask(1), second: await ask(0), asked: backend.ranges.slice(-2) };
}

/** What the library advises a user to change, by types and recorded series. */
function hints(source) {
  const frames = [{ fields: [{ type: 'number', values: [1, 2, 3] }] }];
  const advice = (expr) => source.getQueryHints({ refId: 'A', expr }, frames).map(({ type }) => type);
  return { counter: advice('requests_total'), gauge: advice('temperature') };
}

async function main() {
  setBackendSrv(backend);
  setTemplateSrv(templates);
  const source = dataSource();
  const answers = { version, health: await source.testDatasource() };
  const { data: buildinfo } = await source.metadataRequest('/api/v1/status/buildinfo');
  const server = { prometheusType: 'Prometheus', prometheusVersion: buildinfo.data.version };
  answers.buildinfo = { ...buildinfo.data, matches: dataSource(server).hasLabelsMatchAPISupport() };
  await source.loadRules();
  await source.init();
  answers.start = { rules: source.ruleMappings, exemplars: source.exemplarsAvailable };
  answers.editor = await editor(source);
  answers.labels = await labels(source);
  answers.labels_by_get = await labels(dataSource({ httpMethod: 'GET' }));
  answers.labels_by_series = await labels(dataSource({ ...server, prometheusVersion: '2.20.0' }));
  answers.editor_by_search = await editor(dataSource({ enableSearchApi: true }));
  answers.variables = await variables(source);
  answers.filters = await filters(source);
  answers.queries = await queries(source);
  answers.incremental = await incremental();
  answers.hints = hints(source);
  answers.requests = backend.requests;
  process.stdout.write(JSON.stringify(answers));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
