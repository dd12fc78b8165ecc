// Runs the conformance vectors against readers for Node:
//
//   node run.mjs VECTORS_DIRECTORY < READERS
//
// Each line of READERS is JSON: `{"reader": PATH, "first": [TOPIC…]}`. Each line that is printed is
// `{"reader", "number", "different": [{"vector", "why", "isCrash"}…]}`. Topics are files of vectors that
// are asked first; where some are named, one vector is enough that the reader decides differently
// without falling over, and `number` is left out.

import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [directory] = process.argv.slice(2);

const USERS = {
  anonymous: { isAuthenticated: false, isStaff: false, isSuperuser: false },
  authenticated: { isAuthenticated: true, isStaff: false, isSuperuser: false },
  staff: { isAuthenticated: true, isStaff: true, isSuperuser: false },
  superuser: { isAuthenticated: true, isStaff: true, isSuperuser: true },
};

/** The bytes of a text, which may be written in pieces. */
function bytesOf(text) {
  const pieceOf = (piece) => {
    if (typeof piece === 'string') return Buffer.from(piece);
    if (piece.hex !== undefined) return Buffer.from(piece.hex, 'hex');
    const { repeat, times } = piece;
    if (!repeat.includes('{n}')) return Buffer.from(repeat.repeat(times));
    return Buffer.from(Array.from({ length: times }, (_, n) => repeat.replaceAll('{n}', n + 1)).join(''));
  };
  return Buffer.concat([text].flat().map(pieceOf));
}

/** As Node hands over what a client sent: one character for each byte. */
const sent = (text) => bytesOf(text).toString('latin1');

function factsOf({ method, target, host, peer, headers, user, token }) {
  const pairs = headers.map(([name, value]) => [name, sent(value)]);
  if (token !== null) pairs.push(['Cookie', `maint_bypass=${token}`]);
  return {
    method,
    target: sent(target),
    host: host === null ? null : sent(host),
    peer,
    headers: pairs,
    user: () => (user === null ? null : USERS[user]),
  };
}

function failureOfDecision({ readState, answerOf, timeOf }, vector) {
  const request = factsOf(vector.request);
  const now = timeOf(vector.now);
  const { decision, by, window } = readState(Buffer.from(JSON.stringify(vector.state))).decide(request, now);
  if (decision !== vector.decision || ![vector.by].flat().includes(by)) {
    return `${vector.decision} by ${vector.by} expected, ${decision} by ${by} found`;
  }
  const fields = ['status', 'format', 'retry_after'].filter((field) => vector[field] !== undefined);
  if (fields.length === 0) return undefined;
  const answer = answerOf(window, request, now);
  const found = { ...answer, retry_after: Number(answer.headers['retry-after']) };
  const differs = fields.find((field) => vector[field] !== found[field]);
  return differs && `${differs} ${vector[differs]} expected, ${found[differs]} found`;
}

const GET = factsOf({ method: 'GET', target: '/', host: 'example.com', peer: null, headers: [], user: null, token: null });

function failureOfFile({ readState, timeOf }, vector) {
  let result = 'read';
  let plan;
  try {
    plan = readState(bytesOf(vector.file));
  } catch (cause) {
    if (cause.kind === undefined) throw cause;
    result = cause.kind;
  }
  if (result !== vector.result) return `${vector.result} expected, ${result} found`;
  if (plan === undefined) return undefined;
  const { decision } = plan.decide(GET, timeOf('2026-11-22T03:30:00Z'));
  return decision === vector.decision ? undefined : `${vector.decision} expected, ${decision} found`;
}

const isVectors = (name) => name.endsWith('.json');
const topics = [['', failureOfDecision], ['files/', failureOfFile]].flatMap(([place, failureOf]) =>
  readdirSync(join(directory, place)).filter(isVectors).sort().map((name) => {
    const { vectors } = JSON.parse(readFileSync(join(directory, place, name), 'utf8'));
    return { topic: place + name.slice(0, -'.json'.length), vectors, failureOf };
  }));

/** What a reader decides differently, and how many vectors there are. */
function run(reader, first) {
  const rankOf = ({ topic }) => (first.includes(topic) ? first.indexOf(topic) : first.length);
  const different = [];
  let number = 0;
  for (const { vectors, failureOf } of [...topics].sort((one, other) => rankOf(one) - rankOf(other))) {
    for (const vector of vectors) {
      number += 1;
      let why;
      let isCrash = false;
      try {
        why = failureOf(reader, vector);
      } catch (cause) {
        isCrash = true;
        why = `${cause.stack}`.split('\n').slice(0, 3).join(' ');
      }
      if (why === undefined) continue;
      different.push({ vector: vector.name, why, isCrash });
      if (first.length > 0 && !isCrash) return { different };
    }
  }
  return { number, different };
}

for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const { reader, first } = JSON.parse(line);
  const loaded = await import(pathToFileURL(resolve(reader)).href);
  console.log(JSON.stringify({ reader, ...run(loaded, first) }));
}
