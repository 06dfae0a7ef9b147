// Packages that only draw are not installed: package.json overrides them by a tiny one. Whatever
// is taken of them, called or constructed is the same nothing again.
'use strict';

const Module = require('node:module');
const { overrides } = require('./package.json');

const absent = Object.keys(overrides).filter((name) => overrides[name].startsWith('npm:'));
const isAbsent = (request) => absent.some((name) => request === name || request.startsWith(`${name}/`));

const nothing = new Proxy(function () {}, {
  get(_, name) {
    if (name === Symbol.toPrimitive) return () => '';
    return name === 'then' || name === '__esModule' ? undefined : nothing;
  },
  apply: () => nothing,
  construct: () => nothing,
});

const load = Module._load;
Module._load = (request, ...rest) => (isAbsent(request) ? nothing : load(request, ...rest));
