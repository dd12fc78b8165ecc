// A whole reader of the state file for Node, in one file and without dependencies.
//
//   node examples/reader.mjs SITE_DIRECTORY [PORT]
//
// serves a small app on 127.0.0.1 that obeys `maint on` and `maint off` from the next request on,
// and is meant to run behind nginx. In an app of your own:
//
//   const gate = new Gate('/srv/shop/.maint', { userOf });
//   createServer(gate.before(app)).listen(3000);
//
// The page comes from `maint template render --builtin`, by the command on the path or the one that the
// variable `MAINT` names. Without it visitors get plain text.
//
// It follows docs/state-file.md, and tests/porter.rs holds it against tests/vectors/.
//
// What a client sent stays as Node hands it over: a string with one character for each byte. What
// the file says is brought into that form (`bytesOf`) before the two are compared.

import { execFileSync } from 'node:child_process';
import { createHash, timingSafeEqual } from 'node:crypto';
import * as fs from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const VERSION = 1;
const KIB = 1024;
const MAX_FILE = 8 * KIB * KIB;
const MAX_NUMBER = 2 ** 53 - 1;
const READING = ['GET', 'HEAD'];
const SAFE = [...READING, 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'];
const IS_TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

const bytesOf = (text) => Buffer.from(text).toString('latin1');
const textOf = (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes, 'latin1'));
const trim = (text) => text.replace(/^[ \t]+|[ \t]+$/g, '');
const lower = (text) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const upper = (text) => text.replace(/[a-z]/g, (letter) => letter.toUpperCase());

/** A file that cannot be used: `kind` is `broken`, or `newer` if it is not for this version. */
export class Unusable extends Error {
  constructor(kind, reason) {
    super(reason);
    this.kind = kind;
  }
}

const refuse = (reason) => {
  throw new Unusable('broken', reason);
};

// ------------------------------------------------------------------ The file: from bytes to values

/** Reads JSON, and refuses what `JSON.parse` accepts although two readers could differ on it. */
function parseStrictly(bytes) {
  let text, value;
  try {
    // Without `ignoreBOM` the decoder swallows a byte order mark.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    refuse(cause.message);
  }
  const number = /[-+.eE0-9]+/y;
  const open = []; // for each object that is open its keys so far, for each list null
  let isKeyNext = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : null);
      if (open.length > 127) refuse('it is nested too deeply');
      isKeyNext = character === '{';
    } else if (character === '}' || character === ']') {
      open.pop();
    } else if (character === ',') {
      isKeyNext = open.at(-1) !== null;
    } else if (character === '"') {
      const from = at;
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
      const string = JSON.parse(text.slice(from, at + 1));
      if (/\p{Surrogate}/u.test(string)) refuse('half of a surrogate pair is no character');
      if (isKeyNext && open.at(-1).has(string)) refuse(`the key \`${string}\` is there twice`);
      if (isKeyNext) open.at(-1).add(string);
      isKeyNext = false;
    } else if (/[-0-9]/.test(character)) {
      number.lastIndex = at;
      const [digits] = number.exec(text);
      if (!Number.isFinite(Number(digits))) refuse('a number is too large');
      at += digits.length - 1;
    }
  }
  return value;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

// Checks of values. Each refuses what is wrong, naming where it stands.
const string = (value, where) => typeof value === 'string' || refuse(`${where} is no text`);
const flag = (value, where) => typeof value === 'boolean' || refuse(`${where} is neither true nor false`);
const integer = (least, most) => (value, where) =>
  (Number.isInteger(value) && least <= value && value <= most) || refuse(`${where} is no number from ${least} to ${most}`);
const text = (most) => (value, where) => {
  string(value, where);
  if (Buffer.byteLength(value) > most) refuse(`${where} is longer than ${most} bytes`);
  if (/(?![\n\t])\p{Cc}/u.test(value)) refuse(`${where} has a control character`);
};
const pattern = (form, what) => (value, where) =>
  (typeof value === 'string' && form.test(value)) || refuse(`${where} is no ${what}`);
const time = (value, where) => timeOf(value) ?? refuse(`${where} is no time`);
const listOf = (most, check) => (value, where) => {
  if (!Array.isArray(value) || value.length > most) refuse(`${where} is no list of up to ${most}`);
  value.forEach((item) => check(item, where));
};
const mapOf = (most, checkKey, check) => (value, where) => {
  if (!isObject(value)) refuse(`${where} is no object`);
  const entries = Object.entries(value);
  if (entries.length > most) refuse(`${where} has more than ${most} entries`);
  for (const [key, item] of entries) {
    checkKey(key, `a name in ${where}`);
    check(item, `${where}.${key}`);
  }
};
// A field that must be there, one with a default, and one that may be `null` as well.
const needed = (check) => ({ check, isNeeded: true });
const usual = (check) => ({ check });
const maybe = (check) => ({ check, mayBeNull: true });
const fields = (known, whole = () => {}) => (value, where) => {
  if (!isObject(value)) refuse(`${where} is no object`);
  for (const [name, { check, isNeeded, mayBeNull }] of Object.entries(known)) {
    const isThere = Object.hasOwn(value, name);
    if (!isThere && isNeeded) refuse(`${where} has no \`${name}\``);
    if (isThere && !(mayBeNull && value[name] === null)) check(value[name], `${where}.${name}`);
  }
  whole(value, where);
};

const TAG = /^(?=.{1,35}$)[a-z]{2,8}(-[a-z0-9]{1,8})*$/;
const TEMPLATE = /^[A-Za-z0-9_-]{1,64}$/;
const ACTOR = fields({
  user: needed(string),
  sudo_user: maybe(string),
  host: usual(string),
  pid: usual(integer(0, 2 ** 32 - 1)),
});
const PAGE = fields({
  status: maybe((value, where) => value === 200 || integer(400, 599)(value, where)),
  retry_after: maybe(integer(1, 7 * 24 * 3600)),
  template: maybe(pattern(TEMPLATE, 'name of a template')),
  redirect: maybe(redirect),
  format: maybe(pattern(/^(html|json|txt)$/, 'format')),
  title: maybe((value, where) => (text(200)(value, where), /^(?=.*\P{White_Space})[^\n\t]*$/u.test(value) || refuse(`${where} is no line`))),
  contact: maybe(contact),
  status_url: maybe(link),
  language: maybe(pattern(TAG, 'tag of a language')),
});
const SCOPE = fields(
  {
    paths: usual(listOf(1000, pathMatcher)),
    methods: usual(listOf(1000, pattern(/^(?!.*[a-z])[A-Z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'method in upper case'))),
    hosts: usual(listOf(1000, hostMatcher)),
    read_only: usual(flag),
  },
  (scope, where) => scope.read_only && scope.methods?.length && refuse(`${where} has \`methods\` and \`read_only\``),
);
const WINDOW = fields(
  {
    reason: maybe(text(64 * KIB)),
    reasons: usual(mapOf(100, pattern(TAG, 'tag of a language'), text(64 * KIB))),
    opened_at: needed(time),
    opened_by: usual(ACTOR),
    start: maybe(time),
    end: maybe(time),
    estimate: maybe(time),
    scope: usual(SCOPE),
    page: usual(PAGE),
    lease: maybe(integer(0, 2 ** 32 - 1)),
    run: maybe(string),
  },
  ({ start, end, estimate, lease }, where) => {
    if (start && end && timeOf(end) <= timeOf(start)) refuse(`${where} ends before it starts`);
    if (start && estimate && timeOf(estimate) <= timeOf(start)) refuse(`${where} is expected to end before it starts`);
    // A lease moves its end on.
    const isLeased = (lease ?? null) !== null;
    if (estimate && end && !isLeased && timeOf(end) < timeOf(estimate)) refuse(`${where} is expected to end after it does`);
  },
);
const RULE = fields({
  kind: needed(string),
  value: needed(string), // in the notation of its kind, which `Plan` reads
  note: maybe(text(KIB)),
  expires_at: maybe(time),
  added_at: maybe(time),
  added_by: maybe(string),
});
const BYPASS = fields({
  sha256: needed(pattern(/^[0-9a-f]{64}$/, 'digest')),
  note: maybe(text(KIB)),
  expires_at: maybe(time),
  keep: usual(flag),
  added_at: maybe(time),
  added_by: maybe(string),
});
const PROXIES = fields({
  header: needed(pattern(/^(x-forwarded-for|forwarded)$/, 'header field of a proxy')),
  networks: needed((networks, where) => {
    listOf(Infinity, proxyNetwork)(networks, where);
    if (networks.length === 0) refuse(`${where} is empty`);
  }),
});
const FILE = fields(
  {
    version: needed(integer(1, Infinity)),
    min_reader: usual(integer(0, Infinity)),
    revision: needed(integer(0, MAX_NUMBER)),
    last_id: maybe(integer(0, MAX_NUMBER)),
    last_change: maybe(fields({ at: needed(time), by: usual(ACTOR), command: usual(string) })),
    name: maybe(text(200)),
    windows: usual(mapOf(1000, pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'name of a window'), WINDOW)),
    ignore: usual(mapOf(10_000, string, RULE)),
    bypass: usual(mapOf(1000, string, BYPASS)),
    page: usual(PAGE),
    trusted_proxies: maybe(PROXIES),
    templates: usual(mapOf(Infinity, pattern(/^[A-Za-z0-9_-]{1,64}\.(html|json|txt)$/, 'file of a template'), string)),
    web_user: maybe(text(64)),
  },
  ({ ignore = {} }) => {
    const isExpression = ({ kind, value }) => kind === 'path' && value.startsWith('re:');
    if (Object.values(ignore).filter(isExpression).length > 1000) refuse('there are too many regular expressions');
  },
);

/** Reads the bytes of a state file. Throws `Unusable`. */
export function readState(bytes) {
  if (bytes.length > MAX_FILE) refuse(`it is larger than ${MAX_FILE} bytes`);
  const state = parseStrictly(bytes);
  // The version first: what a later one means by the rest is unknown.
  fields({ version: needed(integer(0, Infinity)), min_reader: maybe(integer(0, Infinity)) })(state, 'the state');
  const least = state.min_reader ?? state.version;
  if (least > VERSION) throw new Unusable('newer', `it is for readers of version ${least}`);
  FILE(state, 'the state');
  return new Plan(state);
}

/** Nanoseconds since 1970 of a time in RFC 3339 that ends in `Z`; `undefined` if it is none. */
export function timeOf(value) {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(value);
  const seconds = parts && new Date(`${parts[1]}Z`);
  // `Date` takes the 30th of February for the 2nd of March.
  if (!parts || Number.isNaN(seconds.getTime()) || !seconds.toISOString().startsWith(parts[1])) return undefined;
  return BigInt(seconds.getTime()) * 1_000_000n + BigInt((parts[2] ?? '').padEnd(9, '0'));
}

// ------------------------------------------------------------------------------ Paths and patterns

/** A function that says whether a path, which is decoded, matches; `undefined` if this reader cannot tell. */
function pathMatcher(value, where) {
  string(value, where);
  const bad = (why) => refuse(`${where}: \`${value}\` is no path pattern: ${why}`);
  if (Buffer.byteLength(value) > 2 * KIB) bad('it is too long');
  if (/\p{Cc}/u.test(value)) bad('it has a control character');
  if (value === 're:') bad('it is empty');
  if (value.startsWith('re:')) return expression(bytesOf(value.slice(3)));
  if (!value.startsWith('/')) bad('it does not begin with `/`');
  if (/[?#%\\;]/.test(value)) bad('no path that is clear has such a character');
  const path = bytesOf(value);
  const segments = path.split('/').slice(1);
  segments.forEach((segment, number) => {
    const isLast = number === segments.length - 1;
    if (segment === '.' || segment === '..' || (segment === '' && !isLast)) bad('it is ambiguous');
    if (segment.includes('*') && segment !== '*' && !(segment === '**' && isLast)) bad('`*` is a whole segment');
  });
  if (!path.includes('*')) return (asked) => asked === path;
  const isSubtree = segments.at(-1) === '**';
  if (isSubtree) segments.pop();
  return (asked) => {
    const given = asked.split('/').slice(1);
    const fits = (segment, number) => (segment === '*' ? Boolean(given[number]) : given[number] === segment);
    return (isSubtree || given.length === segments.length) && segments.every(fits);
  };
}

// What both engines read alike: characters, `.` and its like, groups, classes, and how often.
const ESCAPE = '\\\\(?:[dDwW]|[!-/:-@[-`{-~])';
const MEMBER = `(?:[^\\][\\\\&~^\\x80-\\xff-]|${ESCAPE})`;
const SHARED = new RegExp(
  `^(?:[^\\\\^$.|?*+()[\\]{}]|${ESCAPE}|[.^$|)]|\\((?:\\?:)?|\\[\\^?(?:${MEMBER}(?:-${MEMBER})?)+\\]`
  + '|(?:[*+?]|\\{\\d+(?:,\\d*)?\\})\\??)*$',
);

/**
 * A regular expression that means the same to JavaScript and to the Rust crate `regex`; `undefined`
 * for all others. It is the operator's own, so nothing here guards against a slow one.
 */
function expression(source) {
  const [, flags = '', rest] = /^(?:\(\?([is]+)\))?([^]*)$/.exec(source);
  const isPlain = !/[^\x20-\x7e]/.test(rest);
  if (!SHARED.test(rest) || (flags.includes('i') && !isPlain)) return undefined;
  try {
    // For Rust a dot is anything but a line feed, for JavaScript not a carriage return either.
    const dot = flags.includes('s') ? '[^]' : '[^\\n]';
    const translated = rest.replace(/\\.|\[(?:\\.|[^\]])*\]|\./g, (part) => (part === '.' ? dot : part));
    const whole = new RegExp(`^(?:${translated})$`, flags.includes('i') ? 'i' : '');
    return (asked) => whole.test(asked);
  } catch {
    return undefined;
  }
}

/** Decodes escapes once. `isClear` says that none is broken or changes how the rest is read. */
function decode(path) {
  let isClear = true;
  const plain = path.replace(/%([0-9a-fA-F]{2})?/g, (escape, digits) => {
    const character = digits === undefined ? escape : String.fromCharCode(parseInt(digits, 16));
    if (digits === undefined || '/.\\;%\0'.includes(character)) isClear = false;
    return character;
  });
  return { plain, isClear };
}

const MAX_READINGS = 64;
const MAX_AMBIGUOUS = 2 * KIB;
const MAX_MADE = 16 * KIB;

const segmentsOf = (path) => path.replace(/^\//, '').split('/');
const joined = (segments) => (segments.length > 0 ? segments.map((segment) => `/${segment}`).join('') : '/');

/** What a server may do to a path: where it could change something, and what it makes of it. */
const STEPS = [
  [/%/, (path) => decode(path).plain],
  [/\\/, (path) => path.replaceAll('\\', '/')],
  [/;/, (path) => joined(segmentsOf(path).map((segment) => segment.split(';')[0]))],
  [/\/\//, (path) => {
    const kept = joined(segmentsOf(path).filter((segment) => segment !== ''));
    return path.endsWith('/') && !kept.endsWith('/') ? `${kept}/` : kept;
  }],
  [/\/\./, withoutDotSegments],
  [/\0/, (path) => path.split('\0')[0]],
  [/#/, (path) => path.split('#')[0]],
  [/\/$/, (path) => (path === '/' ? path : path.slice(0, -1))],
];

function withoutDotSegments(path) {
  const kept = [];
  const segments = segmentsOf(path);
  for (const segment of segments) {
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
  }
  const resolved = joined(kept);
  return ['.', '..'].includes(segments.at(-1)) && !resolved.endsWith('/') ? `${resolved}/` : resolved;
}

/** All that servers may take an ambiguous path for; `undefined` if that is too much to list. */
function readingsOf(path) {
  if (path.length > MAX_AMBIGUOUS || !path.startsWith('/')) return undefined;
  const readings = new Set([path]);
  let made = path.length;
  // A set visits what is added to it on the way.
  for (const reading of readings) {
    for (const [mark, step] of STEPS) {
      if (!mark.test(reading)) continue;
      const other = step(reading);
      made += other.length;
      readings.add(other);
      if (made > MAX_MADE || readings.size > MAX_READINGS) return undefined;
    }
  }
  return [...readings];
}

/** A request path: `clear` is the decoded path unless it is ambiguous, `isAny` asks of every reading. */
function formsOf(target) {
  const sent = target.split('?')[0] || '/';
  const { plain, isClear } = decode(sent);
  let isUnderstood = isClear && plain.startsWith('/') && !sent.includes('#');
  try {
    isUnderstood &&= !/[\p{Cc}\\;]/u.test(textOf(plain));
  } catch {
    isUnderstood = false; // It is not UTF-8.
  }
  isUnderstood &&= !plain.includes('//') && !segmentsOf(plain).some((segment) => /^\.\.?$/.test(segment));
  if (isUnderstood) return { clear: plain, isAny: (matches) => matches(plain) };
  return { clear: undefined, isAny: (matches) => readingsOf(sent)?.some(matches) ?? true };
}

// --------------------------------------------------------------------------- Hosts and their ports

/** Splits `host:port`. An IPv6 address keeps its brackets. */
function hostAndPort(value) {
  const colon = value.lastIndexOf(':');
  return colon < 0 || value.endsWith(']') ? [value, undefined] : [value.slice(0, colon), value.slice(colon + 1)];
}

const isPort = (digits) => /^\d+$/.test(digits) && Number(digits) <= 65535;

/** A host in the one form that is compared; `undefined` if it is none. */
function normalHost(host) {
  if (host.startsWith('[')) {
    const address = host.endsWith(']') ? parseIPv6(host.slice(1, -1)) : undefined;
    return address === undefined ? undefined : `[${address.toString(16)}]`;
  }
  const name = host.replace(/\.$/, '');
  const isName = name.length <= 253
    && name.split('.').every((label) => /^(?!-)[A-Za-z0-9_-]{1,63}(?<!-)$/.test(label))
    // Browsers take `127.1` and `0x7f000001` for addresses.
    && (!/(^|\.)(\d+|0[xX][0-9a-fA-F]*)$/.test(name) || parseIPv4(name) !== undefined);
  return isName ? lower(name) : undefined;
}

/** The host of a request; `undefined` if there is none, or if nobody can know which one is meant. */
function hostOf(request) {
  const [host, port] = hostAndPort(trim(request.host ?? ''));
  return port === undefined || port === '' || isPort(port) ? normalHost(host) : undefined;
}

function hostMatcher(value, where) {
  string(value, where);
  if (value === '*') return () => true;
  const isBelow = value.startsWith('*.');
  const name = normalHost(isBelow ? value.slice(2) : value);
  const isAddress = name?.startsWith('[') || parseIPv4(name ?? '') !== undefined;
  if (name === undefined || (isBelow && isAddress)) refuse(`${where}: \`${value}\` is no host`);
  return isBelow ? (host) => Boolean(host?.endsWith(`.${name}`)) : (host) => host === name;
}

/** A URL, or a path of this site, that no browser takes for another host. */
function redirect(value, where) {
  const [, authority] = /^https?:\/\/([^/?#]*)/i.exec(string(value, where) && value) ?? [];
  const [host, port] = hostAndPort(authority ?? '');
  const isSafe = /^\/(?!\/)/.test(value) || (normalHost(host) !== undefined && (port === undefined || isPort(port)));
  if (!isSafe || value.length > 2 * KIB || /[^!-~]|[\\"<>`{}|^]/.test(value)) refuse(`${where} leads nowhere safe`);
}

/** A URL of another page. */
function link(value, where) {
  redirect(value, where);
  if (value.startsWith('/')) refuse(`${where} is no URL`);
}

/** A mail address, a telephone number, or a URL. */
function contact(value, where) {
  if (string(value, where) && value.includes('://')) return link(value, where);
  const [, host] = /^[A-Za-z0-9!$'*+._~-]{1,64}@([^@]+)$/.exec(value) ?? [];
  const isAddress = host !== undefined && !host.startsWith('*') && normalHost(host) !== undefined;
  const isNumber = /^\+?[0-9 .()/-]*$/.test(value) && /^\d{3,15}$/.test(value.replace(/\D/g, ''));
  if (value.length > 320 || !(isAddress || isNumber)) refuse(`${where} is no contact`);
}

// --------------------------------------------------------------- Addresses, networks and the client

function parseIPv4(value) {
  const numbers = value.split('.');
  const isOne = (number) => /^(0|[1-9]\d{0,2})$/.test(number) && Number(number) <= 255;
  if (numbers.length !== 4 || !numbers.every(isOne)) return undefined;
  return numbers.reduce((address, number) => (address << 8n) | BigInt(number), 0n);
}

function parseIPv6(value) {
  const halves = value.split('::');
  const groupsOf = (half, isEnd) => (half === '' ? [] : half.split(':')).flatMap((group, number, all) => {
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) return [BigInt(`0x${group}`)];
    const v4 = isEnd && number === all.length - 1 ? parseIPv4(group) : undefined;
    return v4 === undefined ? [undefined] : [v4 >> 16n, v4 & 0xffffn];
  });
  const [head, tail = []] = halves.map((half, number) => groupsOf(half, number === halves.length - 1));
  const left = 8 - head.length - tail.length;
  const fits = halves.length === 1 ? left === 0 : halves.length === 2 && left > 0;
  const groups = fits ? [...head, ...Array(left).fill(0n), ...tail] : [undefined];
  return groups.includes(undefined) ? undefined : groups.reduce((address, group) => (address << 16n) | group, 0n);
}

const MAPPED = 0xffffn << 32n; // ::ffff:0:0

/** An IPv4-mapped IPv6 address is the IPv4 address. */
const canonical = (v6) => (v6 >> 32n === 0xffffn ? { bits: 32, value: v6 & 0xffffffffn } : { bits: 128, value: v6 });

function parseAddress(value) {
  const v4 = parseIPv4(value);
  if (v4 !== undefined) return { bits: 32, value: v4 };
  const v6 = parseIPv6(value);
  return v6 === undefined ? undefined : canonical(v6);
}

/** `ADDRESS/LENGTH` as it is written. */
function parseNetwork(value) {
  const [, address, digits] = /^(.*)\/(\d{1,3})$/.exec(value) ?? [];
  if (address === undefined) return undefined;
  const v4 = parseIPv4(address);
  const network = { bits: v4 === undefined ? 128 : 32, value: v4 ?? parseIPv6(address), length: Number(digits) };
  return network.value === undefined || network.length > network.bits ? undefined : network;
}

const prefix = ({ bits, value }, length) => value >> BigInt(bits - length);
const contains = (network, address) =>
  network.bits === address.bits && prefix(network, network.length) === prefix(address, network.length);

/** A network of an `ip` rule. One of mapped addresses is a network of IPv4. */
function ruleNetwork(value, where) {
  const address = parseAddress(value);
  if (address) return { ...address, length: address.bits };
  const network = parseNetwork(value) ?? refuse(`${where}: \`${value}\` is no address or network`);
  const beyond = BigInt(network.bits - network.length);
  if ((network.value >> beyond) << beyond !== network.value) refuse(`${where}: \`${value}\` has bits beyond its prefix`);
  const isMapped = network.bits === 128 && network.length >= 96 && network.value >> 32n === 0xffffn;
  return isMapped ? { ...canonical(network.value), length: network.length - 96 } : network;
}

/** A network of proxies. It has its length, even if it is one address, and is never everybody. */
function proxyNetwork(value, where) {
  string(value, where);
  const network = parseNetwork(value) ?? refuse(`${where}: \`${value}\` is no network`);
  const isEverybody = network.bits === 32
    ? network.length === 0
    : network.length <= 96 && contains(network, { bits: 128, value: MAPPED });
  if (isEverybody) refuse(`${where}: \`${value}\` trusts everybody`);
  return network;
}

const trusts = (proxies, address) => {
  const mapped = address.bits === 32 ? { bits: 128, value: MAPPED | address.value } : undefined;
  return proxies.networks.some((network) =>
    contains(network, address) || (mapped !== undefined && network.length > 96 && contains(network, mapped)));
};

/** Splits at a separator that stands outside of quotes. */
function splitUnquoted(value, separator) {
  const parts = [''];
  let isQuoted = false;
  for (let at = 0; at < value.length; at += 1) {
    const isEscape = isQuoted && value[at] === '\\';
    if (value[at] === '"') isQuoted = !isQuoted;
    if (!isQuoted && value[at] === separator) parts.push('');
    else parts.push(parts.pop() + value.slice(at, at + 1 + isEscape));
    at += isEscape;
  }
  return parts;
}

/** The value of a parameter: a token or a quoted string. */
function parameterValue(value) {
  if (IS_TOKEN.test(value)) return value;
  const [, inside] = /^"((?:[^"\\]|\\[^])*)"$/.exec(value) ?? [];
  const plain = inside?.replace(/\\([^])/g, '$1');
  return plain === undefined || /(?!\t)[\x00-\x1f\x7f]/.test(plain) ? undefined : plain;
}

/** The address in one element of `Forwarded`, all of which must be well-formed. */
function forwardedFor(element) {
  let found;
  for (const pair of splitUnquoted(element, ';').map(trim).filter((pair) => pair !== '')) {
    const equals = pair.indexOf('=');
    const name = pair.slice(0, Math.max(equals, 0));
    const value = parameterValue(pair.slice(equals + 1));
    if (!IS_TOKEN.test(name) || value === undefined) return undefined;
    if (lower(name) !== 'for') continue;
    if (found !== undefined) return undefined; // Two readers could choose two different ones.
    found = value;
  }
  return found === undefined ? undefined : node(found, (port) => /^_[A-Za-z0-9._-]+$/.test(port));
}

/** The address of a hop: IPv4, or IPv6 in brackets, and perhaps a port. */
function node(value, isOtherPort) {
  const [host, port] = hostAndPort(value);
  if (port !== undefined && !(port.length <= 5 && isPort(port)) && !isOtherPort(port)) return undefined;
  if (!host.startsWith('[')) return parseIPv4(host) === undefined ? undefined : parseAddress(host);
  const v6 = host.endsWith(']') ? parseIPv6(host.slice(1, -1)) : undefined;
  return v6 === undefined ? undefined : canonical(v6);
}

/** The client's address; `undefined` if it is unknown. */
function clientOf(request, proxies) {
  const peer = request.peer ? parseAddress(request.peer) : undefined;
  if (!peer || !proxies || !trusts(proxies, peer)) return peer;
  const field = valuesOf(request, proxies.header).join(',');
  if (field.length > 64 * KIB) return undefined;
  const isStandard = proxies.header === 'forwarded';
  const hops = isStandard ? splitUnquoted(field, ',') : field.split(',');
  if (hops.length > 1000) return undefined;
  for (const hop of hops.reverse().map(trim).filter((hop) => hop !== '')) {
    const bare = isStandard ? undefined : parseIPv6(hop);
    const address = bare !== undefined ? canonical(bare) : isStandard ? forwardedFor(hop) : node(hop, () => false);
    if (!address || !trusts(proxies, address)) return address;
  }
  return undefined;
}

// -------------------------------------------------------------------------------------- Deciding

const valuesOf = (request, name) =>
  request.headers.filter(([given]) => lower(given) === name).map(([, value]) => value);

/** The only value of a field; `undefined` if there is none, or more than one. */
const onlyValue = (request, name) => {
  const values = valuesOf(request, name);
  return values.length === 1 ? trim(values[0]) : undefined;
};

const USERS = {
  anonymous: (user) => !user.isAuthenticated,
  authenticated: (user) => user.isAuthenticated,
  staff: (user) => user.isAuthenticated && user.isStaff,
  superuser: (user) => user.isAuthenticated && user.isSuperuser,
};

/** By its kind, what the value of a rule matches: each takes the facts of a request. */
const MATCHERS = {
  __proto__: null,
  path(value, where) {
    const matches = pathMatcher(value, where);
    return (facts) => facts.path.clear !== undefined && Boolean(matches?.(facts.path.clear));
  },
  method(value, where) {
    if (!IS_TOKEN.test(value) || value.length > 64) refuse(`${where}: \`${value}\` is no method`);
    return (facts) => facts.request.method === upper(value);
  },
  host(value, where) {
    const matches = hostMatcher(value, where);
    return (facts) => matches(facts.host);
  },
  ip(value, where) {
    const network = ruleNetwork(value, where);
    return (facts) => facts.client() !== undefined && contains(network, facts.client());
  },
  header(value, where) {
    const [, name, wanted] = /^([^:]+):[ \t]*([\t\x20-\x7e]*[!-~])[ \t]*$/.exec(value) ?? [];
    const isSecret = /^(authorization|cookie|proxy-authorization)$/i.test(name);
    if (name === undefined || !IS_TOKEN.test(name) || isSecret || value.length > KIB) refuse(`${where} is no header rule`);
    return (facts) => valuesOf(facts.request, lower(name)).some((given) => trim(given) === wanted);
  },
  user(value, where) {
    const belongs = Object.hasOwn(USERS, value) ? USERS[value] : refuse(`${where}: \`${value}\` is no class of users`);
    return (facts) => Boolean(facts.user() && belongs(facts.user()));
  },
};

const remembered = (find) => {
  let found;
  return () => (found ??= [find()])[0];
};

/** A state, ready for requests. */
export class Plan {
  constructor(state) {
    this.state = state;
    this.windows = Object.entries(state.windows ?? {}).map(([name, window]) => {
      const { paths = [], methods = [], hosts = [], read_only: isReadOnly = false } = window.scope ?? {};
      return {
        name,
        window,
        start: timeOf(window.start) ?? null,
        end: timeOf(window.end) ?? null,
        // A lease moves its end on, so visitors are not told of it.
        promised: (window.lease ?? null) === null ? timeOf(window.end) ?? null : null,
        estimate: timeOf(window.estimate) ?? null,
        // An expression that this reader cannot check may match anything.
        paths: paths.map((path) => pathMatcher(path, name) ?? (() => true)),
        methods,
        hosts: hosts.map((host) => hostMatcher(host, name)),
        isReadOnly,
        page: { ...withoutNull(state.page), ...withoutNull(window.page) },
      };
    });
    this.rules = Object.entries(state.ignore ?? {})
      .filter(([, rule]) => rule.kind in MATCHERS)
      .map(([id, { kind, value, expires_at: end }]) => {
        return { id, kind, matches: MATCHERS[kind](value, `rule ${id}`), end: timeOf(end) };
      });
    this.tokens = Object.entries(state.bypass ?? {}).map(([id, { sha256, expires_at: end }]) => {
      return { id, digest: Buffer.from(sha256, 'hex'), end: timeOf(end) };
    });
    const proxies = state.trusted_proxies;
    this.proxies = proxies && { ...proxies, networks: proxies.networks.map((network) => proxyNetwork(network, '')) };
  }

  /**
   * Decides about a request: `method`, `target`, `host`, `peer`, the `headers` as pairs, and
   * `user()`, which is asked last. `now` is in nanoseconds.
   */
  decide(request, now) {
    const facts = {
      request,
      path: formsOf(request.target),
      host: hostOf(request),
      client: remembered(() => clientOf(request, this.proxies)),
      user: remembered(() => request.user?.() ?? null),
    };
    const isOpen = ({ start, end }) => (start === null || start <= now) && (end === null || now < end);
    const covering = this.windows.filter((window) => isOpen(window) && covers(window, facts));
    if (covering.length === 0) return { decision: 'pass', by: null, isPrivate: false };
    const isLive = ({ end }) => end === undefined || now < end;
    const by = (...kinds) =>
      this.rules.find((rule) => kinds.includes(rule.kind) && isLive(rule) && rule.matches(facts));
    const shared = by('path', 'method', 'host');
    if (shared) return { decision: 'pass', by: shared.id, isPrivate: false };
    const personal = by('ip', 'header') ?? this.bearer(request, now) ?? by('user');
    if (personal) return { decision: 'pass', by: personal.id, isPrivate: true };
    // The page of the one that is expected to end last says when all of them have ended.
    const expected = (one) => expectedEnd(one, now) ?? Infinity;
    const window = covering.reduce((last, one) => (expected(one) >= expected(last) ? one : last));
    return { decision: 'block', by: window.name, window };
  }

  /** The token in the cookie of a request. */
  bearer(request, now) {
    const pairs = valuesOf(request, 'cookie').flatMap((line) => line.split(';').map(trim));
    const values = pairs.flatMap((pair) => {
      const [, value] = /^(?:__Host-)?maint_bypass=([^]*)$/.exec(pair) ?? [];
      return value === undefined ? [] : [value];
    });
    return values.slice(0, 8).map((value) => this.token(value, now)).find(Boolean);
  }

  token(value, now) {
    const digest = createHash('sha256').update(value, 'latin1').digest();
    // Every token is compared, so that the time does not show which one matches.
    const same = this.tokens.filter((token) => timingSafeEqual(token.digest, digest));
    return same.find(({ end }) => end === undefined || now < end);
  }
}

const withoutNull = (settings = {}) =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));

function covers({ paths, methods, hosts, isReadOnly }, { request, path, host }) {
  if (isReadOnly && SAFE.includes(request.method)) return false;
  const isOtherMethod = IS_TOKEN.test(request.method) && !methods.includes(upper(request.method));
  if (methods.length > 0 && isOtherMethod) return false;
  if (paths.length > 0 && !path.isAny((reading) => paths.some((matches) => matches(reading)))) return false;
  // What is no host could be any.
  return hosts.length === 0 || host === undefined || hosts.some((matches) => matches(host));
}

// ------------------------------------------------------------------------------------- Answering

const NEVER_KEPT = {
  'cache-control': 'no-store',
  'surrogate-control': 'no-store',
  'cdn-cache-control': 'no-store',
  vary: 'Accept, Accept-Language, Cookie',
  'x-content-type-options': 'nosniff',
  'maint-decision': 'block',
};

const JSON_TYPE = /^(application\/(problem\+)?json|text\/json|application\/.*\+json)$/;

/** What a client names in `Accept`: a named type goes before a wildcard, the heavier before the lighter. */
function wantedFormat(request, usual = 'html') {
  const accept = valuesOf(request, 'accept');
  const ranges = accept.join(',').split(',').map((range) => {
    const [media, ...parameters] = range.split(';').map((part) => lower(trim(part)));
    const weight = parameters.map((parameter) => /^q=([01](?:\.\d{0,3})?)$/.exec(parameter)?.[1]).find(Boolean);
    const format = /^(text\/html|application\/xhtml\+xml)$/.test(media) ? 'html'
      : JSON_TYPE.test(media) ? 'json'
      : media === 'text/plain' ? 'txt' : undefined;
    return { media, format, weight: Number(weight ?? 1) };
  });
  const heaviest = (some) => some.filter(({ weight }) => weight > 0).sort((one, other) => other.weight - one.weight)[0];
  const named = heaviest(ranges.filter(({ format }) => format !== undefined));
  if (named) return { format: named.format, isNamed: true };
  const covered = { '*/*': ['html', 'json', 'txt'], 'text/*': ['html', 'txt'], 'application/*': ['json'] };
  const wild = ranges.filter(({ media, weight }) => media in covered && weight > 0);
  const ordered = [...wild].sort((one, other) => other.weight - one.weight).flatMap(({ media }) => covered[media]);
  const refused = ranges.filter(({ weight }) => weight === 0).map(({ format }) => format);
  const possible = (ordered.length > 0 ? ordered : covered['*/*']).filter((format) => !refused.includes(format));
  const takesAnything = accept.length === 0 || wild.some(({ media }) => media === '*/*');
  const isJson = possible.includes('json') && speaksJson(request, takesAnything);
  const usually = possible.includes(usual) || possible.length === 0 ? usual : possible[0];
  return { format: isJson ? 'json' : usually, isNamed: false };
}

/** Whether a client that names no format is a program: it sends JSON, or is a script that shows no parts of pages. */
function speaksJson(request, takesAnything) {
  const media = lower(trim((onlyValue(request, 'content-type') ?? '').split(';')[0]));
  if (JSON_TYPE.test(media)) return true;
  const isScript = lower(onlyValue(request, 'x-requested-with') ?? '') === 'xmlhttprequest'
    || lower(onlyValue(request, 'sec-fetch-dest') ?? '') === 'empty';
  return takesAnything && isScript && lower(onlyValue(request, 'hx-request') ?? '') !== 'true';
}

/** When visitors may expect the site back: by the estimate while it is to come, and else at the end. */
const expectedEnd = ({ promised, estimate }, now) => (estimate !== null && now < estimate ? estimate : promised);

/** The answer to a request that a window blocks: status, header fields, and what the body shows. */
export function answerOf({ page, promised, estimate }, request, now) {
  const isRead = READING.includes(request.method);
  const end = expectedEnd({ promised, estimate }, now);
  const left = end === null ? (page.retry_after ?? 120) : Number((end - now + 999_999_999n) / 1_000_000_000n);
  const headers = { ...NEVER_KEPT, 'retry-after': String(Math.min(Math.max(left, 1), 7 * 24 * 3600)) };
  const grpc = /^application\/grpc(-web(-text)?)?(?=$|[+;])/.exec(onlyValue(request, 'content-type') ?? '');
  // A call of gRPC has its own status in a field, and 14 is `UNAVAILABLE`.
  if (grpc) return { status: 200, headers: { ...headers, 'content-type': grpc[0], 'grpc-status': '14' } };
  const { format, isNamed } = wantedFormat(request, page.format);
  const mode = onlyValue(request, 'sec-fetch-mode') ?? 'navigate';
  const isVisit = isRead && isNamed && format === 'html' && mode === 'navigate' && !valuesOf(request, 'x-requested-with').length;
  const target = request.target.split('?')[0];
  const { pathname, host } = page.redirect ? new URL(page.redirect, 'http://here.invalid') : {};
  const isHere = pathname === target && ['here.invalid', lower(request.host ?? '')].includes(host);
  if (isVisit && page.redirect && !isHere) return { status: 302, headers: { ...headers, location: page.redirect } };
  const status = page.status ?? 503;
  // A client must not take the answer to what it sent for a success, and lose it.
  return { status: isRead || status >= 400 ? status : 503, headers, format };
}

/** Where a bypass link leads, and the cookie that carries its token from then on; `undefined` if it is none. */
function follow(plan, request, now) {
  const [path, query] = request.target.split(/\?([^]*)/);
  if (query === undefined || !READING.includes(request.method)) return undefined;
  const parameters = query.split('&');
  const tokenOf = (parameter) => /^maint_bypass=([^]*)$/.exec(parameter)?.[1];
  const given = parameters.map(tokenOf).filter(Boolean).find((value) => plan.token(value, now));
  if (given === undefined) return undefined;
  const isSafe = /^[!-~]+$/.test(path) && formsOf(path).clear !== undefined;
  const kept = parameters.filter((parameter) => /^[!-~]+$/.test(parameter) && tokenOf(parameter) === undefined);
  const { end } = plan.token(given, now);
  const age = end === undefined ? '' : `; Max-Age=${Math.max(Number((end - now) / 1_000_000_000n), 1)}`;
  const host = hostOf(request) ?? '';
  const isLoopback = host === 'localhost' || host === '[1]' || (host.startsWith('127.') && parseIPv4(host) !== undefined);
  const [name, secure] = isLoopback ? ['maint_bypass', ''] : ['__Host-maint_bypass', '; Secure'];
  const location = (isSafe ? path : '/') + (kept.length > 0 ? `?${kept.join('&')}` : '');
  const cookie = `${name}=${given}; Path=/; HttpOnly; SameSite=Lax${secure}${age}`;
  return { ...NEVER_KEPT, location, 'set-cookie': cookie, 'referrer-policy': 'no-referrer' };
}

/** Sends the app's answer to somebody who was let through so that no cache keeps it for others. */
function keepPrivate(response) {
  const writeHead = response.writeHead;
  response.writeHead = function (status, ...rest) {
    const message = typeof rest[0] === 'string' ? [rest.shift()] : [];
    const given = rest[0] ?? {};
    const pairs = Array.isArray(given) ? given.flatMap((_, at) => (at % 2 ? [] : [given.slice(at, at + 2)])) : Object.entries(given);
    pairs.forEach(([name]) => this.removeHeader(name));
    pairs.forEach(([name, value]) => this.appendHeader(name, value));
    const isBelievedFirst = /-cache-control$|^(surrogate-control|edge-control|x-accel-expires)$/i;
    this.getHeaderNames().filter((name) => isBelievedFirst.test(name)).forEach((name) => this.removeHeader(name));
    this.setHeader('cache-control', 'private, no-store');
    return writeHead.call(this, status, ...message);
  };
}

// ------------------------------------------------------------------------------ The file, watched

/** Reads a state file as it is now: `undefined` if there is none. Never waits, writes or locks. */
function readFile(path) {
  let file;
  try {
    // A FIFO would hang the process until somebody writes to it.
    file = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (cause) {
    if (cause.code === 'ENOENT') return undefined;
    throw cause;
  }
  try {
    const found = fs.fstatSync(file, { bigint: true });
    if (!found.isFile()) refuse('it is no regular file');
    if (found.size > BigInt(MAX_FILE)) refuse(`it is larger than ${MAX_FILE} bytes`);
    return { key: keyOf(found), isUnsettled: isRecent(found), bytes: fs.readFileSync(file) };
  } finally {
    fs.closeSync(file);
  }
}

const keyOf = ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(' ');
const clock = () => BigInt(Date.now()) * 1_000_000n;
const isRecent = ({ mtimeNs, ctimeNs }) => [mtimeNs, ctimeNs].some((at) => clock() - at < 2_000_000_000n);

/** What an app asks about each request. It looks at the file each time, with one stat(2). */
export class Gate {
  /**
   * Opens the gate of a site directory. Throws if that is missing, or the state cannot be used.
   * `userOf(request)` says who asks, as `{ isAuthenticated, isStaff, isSuperuser }`, `null` if unknown.
   */
  constructor(directory, { userOf = () => null, onProblem = console.error } = {}) {
    Object.assign(this, { directory, userOf, onProblem, path: join(directory, 'state.json'), pages: new Map() });
    this.load();
  }

  load() {
    const read = readFile(this.path);
    if (!read) fs.readdirSync(this.directory); // Without the directory nobody knows what is down.
    this.key = read?.key ?? 'none';
    this.isUnsettled = read?.isUnsettled ?? false;
    const plan = read ? readState(read.bytes) : new Plan({ version: 1, revision: 0 });
    if (this.problem) this.onProblem(`maint: ${this.path} can be read again`);
    this.problem = undefined;
    this.plan = plan;
    this.pages.clear();
  }

  /** The state in force. Once there was a good one, a bad file changes nothing. */
  fresh() {
    const found = fs.statSync(this.path, { bigint: true, throwIfNoEntry: false });
    const isSame = (found ? keyOf(found) : 'none') === this.key;
    if (isSame && !(this.isUnsettled && found && !isRecent(found))) return this.plan;
    try {
      this.load();
    } catch (cause) {
      if (!(cause instanceof Unusable)) this.key = undefined; // Try again with the next request.
      if (this.problem !== cause.message) this.onProblem(`maint: ${this.path}: ${cause.message}; the last good state stays in force`);
      this.problem = cause.message;
    }
    return this.plan;
  }

  /** Wraps a request listener of `node:http`. */
  before(app) {
    return (request, response) => {
      const { rawHeaders } = request;
      const headers = rawHeaders.flatMap((name, at) => (at % 2 ? [] : [[name, rawHeaders[at + 1]]]));
      const asked = { method: request.method, target: request.url, headers, user: () => this.userOf(request) };
      asked.host = onlyValue(asked, 'host') ?? null;
      asked.peer = request.socket.remoteAddress?.split('%')[0] ?? null;
      const [plan, now] = [this.fresh(), clock()];
      const link = follow(plan, asked, now);
      if (link) return response.writeHead(303, link).end();
      const { decision, isPrivate, window } = plan.decide(asked, now);
      if (decision === 'pass') {
        if (isPrivate) keepPrivate(response);
        return app(request, response);
      }
      const { status, headers: fields, format } = answerOf(window, asked, now);
      const body = format ? this.page(window, format, status, READING.includes(asked.method)) : { text: '' };
      const revision = String(plan.state.revision);
      const length = Buffer.byteLength(body.text);
      response.writeHead(status, { ...fields, ...body.fields, 'maint-revision': revision, 'content-length': length });
      return response.end(asked.method === 'HEAD' ? undefined : body.text);
    };
  }

  /** The page of a window, made when it is first needed and kept until the state changes. */
  page(window, format, status, isRead) {
    // The built-in page takes visitors back by itself, which would lose what they sent.
    const made = format === 'html' && !isRead ? 'txt' : format;
    const key = [made, status, isRead, window.name].join(' ');
    if (!this.pages.has(key)) this.pages.set(key, this.render(window, made, status, isRead));
    return this.pages.get(key);
  }

  render({ name, window, isReadOnly, promised }, format, status, isRead) {
    const title = isReadOnly ? 'Read-only for now' : 'Down for maintenance';
    const inSeconds = (at) => (at ? `${at.slice(0, 19)}Z` : null);
    const [start, end] = [inSeconds(window.start ?? window.opened_at), promised === null ? null : inSeconds(window.end)];
    if (format === 'json') {
      const detail = window.reason ? { detail: window.reason } : {};
      const problem = { type: 'about:blank', title, status, ...detail, start, end };
      return { text: `${JSON.stringify(problem)}\n`, fields: { 'content-type': 'application/problem+json' } };
    }
    try {
      if (format === 'html') return builtinPage(this.directory, name);
    } catch (cause) {
      this.onProblem(`maint: the page is plain text: ${cause.message}`);
    }
    const lines = [title, window.reason ?? 'We are working on it, and will be back soon.'];
    if (!isRead) lines.push('What you sent has not been processed. Please send it again later.');
    return { text: `${lines.join('\n\n')}\n`, fields: { 'content-type': 'text/plain; charset=utf-8' } };
  }
}

/** The page that the command makes of a window, and the policy that allows its style and script alone. */
function builtinPage(directory, name) {
  const words = ['--site', directory, 'template', 'render', '--builtin', '--window', name];
  const text = execFileSync(process.env.MAINT ?? 'maint', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 5000 });
  const hashes = (element) => [...text.matchAll(new RegExp(`<${element}>([^]*?)</${element}>`, 'g'))]
    .map(([, block]) => ` 'sha256-${createHash('sha256').update(block).digest('base64')}'`).join('');
  const policy = `default-src 'none'; style-src${hashes('style')}; script-src${hashes('script')}; connect-src 'self'; `
    + "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  return { text, fields: { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': policy } };
}

// ----------------------------------------------------------------------------- Run as a program

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [directory, port = '3000'] = process.argv.slice(2);
  const gate = new Gate(directory ?? '.maint');
  const app = (request, response) => response.end('Hello from the app\n');
  const server = createServer(gate.before(app)).listen(Number(port), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
  });
}
