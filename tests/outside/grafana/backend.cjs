// Stands in for Grafana's server between the client library and a Prometheus API: passes on what
// the library asks of the data source's resources, and asks for it what the library leaves to the
// server, which are health and queries.
'use strict';

const { Observable, from } = require('rxjs');
const { toFrames, toExemplars } = require('./frames.cjs');

const RESOURCES = /^\/?api\/datasources\/uid\/[^/]+\/resources(\/.*)$/;
const HEALTH = /^\/api\/datasources\/uid\/[^/]+\/health$/;
const QUERY = /^\/api\/ds\/query\?/;

/** Parameters as a form: a list is a parameter that comes repeatedly. */
function form(parameters) {
  const given = Object.entries(parameters ?? {}).filter(([, value]) => value != null);
  return new URLSearchParams(given.flatMap(([name, value]) => [value].flat().map((one) => [name, String(one)])));
}

/** What `setBackendSrv` takes, for the server at `address`. */
class Backend {
  /** Method, path and status of each request, in order. */
  requests = [];

  /** How many seconds each query of a range went over, in order. */
  ranges = [];

  constructor(address) {
    this.address = address;
  }

  fetch(request) {
    return from(this.answer(request));
  }

  /** Bytes as they come, the end is without. */
  chunked(request) {
    return new Observable((subscriber) => {
      const send = async () => {
        const path = RESOURCES.exec(request.url)[1];
        const { ok, status, statusText, body } = await this.send('GET', path, form(request.params));
        for (const data of [new TextEncoder().encode(body), undefined]) {
          subscriber.next({ ok, status, statusText, data });
        }
        subscriber.complete();
      };
      send().catch((error) => subscriber.error(error));
    });
  }

  async answer({ url, method = 'GET', params, data }) {
    if (HEALTH.test(url)) return { status: 200, data: await this.health() };
    if (QUERY.test(url)) return { status: 200, data: { results: await this.query(data) } };
    const path = RESOURCES.exec(url)?.[1];
    if (path === undefined) throw new Error(`the library asked Grafana for ${url}`);
    return this.resource(method, path, form(method === 'GET' ? params : data));
  }

  /** Throws what Grafana's front end throws if the answer is an error. */
  async resource(method, path, parameters) {
    const { ok, status, statusText, body } = await this.send(method, path, parameters);
    const answer = { status, statusText, data: body === '' ? {} : JSON.parse(body) };
    if (!ok) throw answer;
    return answer;
  }

  async send(method, path, parameters) {
    const get = method === 'GET';
    const answer = await fetch(`http://${this.address}${path}${get ? `?${parameters}` : ''}`, {
      method,
      body: get ? undefined : parameters,
    });
    this.requests.push(`${method} ${path} ${answer.status}`);
    return { ok: answer.ok, status: answer.status, statusText: answer.statusText, body: await answer.text() };
  }

  /** Grafana's server asks for a sum at a time from which there can be no sample. */
  async health() {
    const { data } = await this.resource('POST', '/api/v1/query', form({ query: '1+1', time: 4 }));
    const [, value] = data.data.result;
    return { status: value === '2' ? 'OK' : 'ERROR', message: `1+1 is ${value}` };
  }

  async query({ queries, from: start, to: end }) {
    const results = {};
    for (const query of queries) {
      try {
        results[query.refId] = { status: 200, frames: await this.frames(query, start / 1000, end / 1000) };
      } catch ({ status, data }) {
        results[query.refId] = { status, error: `${data.errorType}: ${data.error}` };
      }
    }
    return results;
  }

  async frames(query, start, end) {
    const ask = async (path, parameters) =>
      (await this.resource('POST', `/api/v1/${path}`, form({ query: query.expr, ...parameters }))).data.data;
    const frames = [];
    if (query.instant) frames.push(...toFrames(await ask('query', { time: end })));
    if (query.range) {
      const step = query.intervalMs / 1000;
      const aligned = { start: Math.floor(start / step) * step, end: Math.floor(end / step) * step };
      this.ranges.push(aligned.end - aligned.start);
      frames.push(...toFrames(await ask('query_range', { ...aligned, step })));
    }
    if (query.exemplar) frames.push(toExemplars(await ask('query_exemplars', { start, end })));
    return frames;
  }
}

module.exports = { Backend };
