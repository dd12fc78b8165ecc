// Runs the conformance vectors against a reader for Node:
//
//   node run.mjs READER VECTORS_DIRECTORY
//
// prints a line of JSON for each vector that the reader decides differently, and at last their number.

import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [readerPath, directory] = process.argv.slice(2);
const { Plan, answerOf, readState, timeOf } = await import(pathToFileURL(resolve(readerPath)).href);

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

function failureOfDecision(vector) {
  const request = factsOf(vector.request);
  const now = timeOf(vector.now);
  const { decision, by, window } = readState(Buffer.from(JSON.stringify(vector.state))).decide(request, now);
  if (decision !== vector.decision || ![vector.by].flat().includes(by)) {
    return `${vector.decision} by ${vector.by} expected, ${decision} by ${by} found`;
  }
  if (vector.status === undefined) return undefined;
  const { status } = answerOf(window, request, now);
  return status === vector.status ? undefined : `status ${vector.status} expected, ${status} found`;
}

const GET = factsOf({ method: 'GET', target: '/', host: 'example.com', peer: null, headers: [], user: null, token: null });

function failureOfFile(vector) {
  let result = 'read';
  let plan;
  try {
    plan = readState(bytesOf(vector.file));
  } catch (cause) {
    if (cause.kind === undefined) throw cause;
    result = cause.kind;
  }
  if (result !== vector.result) return `${vector.result} expected, ${result} found`;
  if (!(plan instanceof Plan)) return undefined;
  const { decision } = plan.decide(GET, timeOf('2026-11-22T03:30:00Z'));
  return decision === vector.decision ? undefined : `${vector.decision} expected, ${decision} found`;
}

let number = 0;
for (const [place, failureOf] of [['.', failureOfDecision], ['files', failureOfFile]]) {
  for (const name of readdirSync(join(directory, place)).filter((name) => name.endsWith('.json')).sort()) {
    for (const vector of JSON.parse(readFileSync(join(directory, place, name), 'utf8')).vectors) {
      number += 1;
      let why;
      try {
        why = failureOf(vector);
      } catch (cause) {
        why = `${cause.stack}`.split('\n').slice(0, 3).join(' ');
      }
      if (why !== undefined) console.log(JSON.stringify({ vector: vector.name, why }));
    }
  }
}
console.log(JSON.stringify({ number }));
