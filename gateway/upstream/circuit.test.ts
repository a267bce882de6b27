/** The circuit breaker as a transcript: at what time what happens, and what it makes of the circuit. */

import { expect, test } from 'vitest';
import { admits, type Circuit, type CircuitEvent, CLOSED, shareOf, step } from './circuit.ts';

/** Runs the lines `time event`; `look` changes nothing. The jitter is the middle: times are exact. */
function transcript(lines: string): string {
  let circuit: Circuit = CLOSED;
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [time = '', event = ''] = line.trim().split(/\s+/);
      const nowMs = Number(time);
      if (event !== 'look') circuit = step(circuit, event as CircuitEvent, nowMs, 0.5);
      return `${time.padStart(6)} ${event.padEnd(9)} ${describe(circuit, nowMs)}`;
    })
    .join('\n');
}

function describe(circuit: Circuit, nowMs: number): string {
  const share = Math.round(shareOf(circuit, nowMs) * 100);
  const detail =
    circuit.state === 'open'
      ? `until ${circuit.untilMs} (${circuit.trips}${circuit.isSlow ? ', slow' : ''})`
      : circuit.state === 'closed'
        ? `${share}%${circuit.silences > 0 ? ` silences ${circuit.silences}` : ''}`
        : `(${circuit.trips})`;
  return `${circuit.state} ${detail}, admits ${admits(circuit, nowMs)}`;
}

test('an agent that dies, is tried, fails again, and comes back slowly', () => {
  expect(
    transcript(`
      0 answered
      100 broken
      599 look
      600 look
      600 trial
      601 look
      650 broken
      1650 trial
      1700 answered
      1700 look
      6700 look
      11700 look
      12000 broken
    `),
  ).toMatchInlineSnapshot(`
    "     0 answered  closed 100%, admits all
       100 broken    open until 600 (1), admits none
       599 look      open until 600 (1), admits none
       600 look      open until 600 (1), admits trial
       600 trial     half-open (1), admits none
       601 look      half-open (1), admits none
       650 broken    open until 1650 (2), admits none
      1650 trial     half-open (2), admits none
      1700 answered  closed 10%, admits all
      1700 look      closed 10%, admits all
      6700 look      closed 50%, admits all
     11700 look      closed 100%, admits all
     12000 broken    open until 12500 (1), admits none"
  `);
});

test('failures in a row: longer each time, up to thirty seconds', () => {
  expect(transcript(Array.from({ length: 9 }, () => '0 broken').join('\n'))).toMatchInlineSnapshot(`
    "     0 broken    open until 500 (1), admits none
         0 broken    open until 1000 (2), admits none
         0 broken    open until 2000 (3), admits none
         0 broken    open until 4000 (4), admits none
         0 broken    open until 8000 (5), admits none
         0 broken    open until 16000 (6), admits none
         0 broken    open until 30000 (7), admits none
         0 broken    open until 30000 (8), admits none
         0 broken    open until 30000 (9), admits none"
  `);
});

test('one slow answer is nothing, three silences in a row are', () => {
  expect(
    transcript(`
      0 silent
      1 silent
      2 answered
      3 silent
      4 silent
      5 silent
      600 trial
      700 silent
    `),
  ).toMatchInlineSnapshot(`
    "     0 silent    closed 100% silences 1, admits all
         1 silent    closed 100% silences 2, admits all
         2 answered  closed 100%, admits all
         3 silent    closed 100% silences 1, admits all
         4 silent    closed 100% silences 2, admits all
         5 silent    open until 505 (1), admits none
       600 trial     half-open (1), admits none
       700 silent    open until 1700 (2), admits none"
  `);
});

test('an agent that is out for slowness stays out whatever it answers, then has one trial', () => {
  expect(
    transcript(`
      0 slow
      10 slow
      20 answered
      500 look
      500 trial
      510 answered
      5510 look
    `),
  ).toMatchInlineSnapshot(`
    "     0 slow      open until 500 (1, slow), admits none
        10 slow      open until 500 (1, slow), admits none
        20 answered  open until 500 (1, slow), admits none
       500 look      open until 500 (1, slow), admits trial
       500 trial     half-open (1), admits none
       510 answered  closed 10%, admits all
      5510 look      closed 50%, admits all"
  `);
});

test('a trial that nobody hears of makes room for another', () => {
  expect(
    transcript(`
      0 broken
      500 trial
      10499 look
      10500 look
      10500 trial
      10600 answered
    `),
  ).toMatchInlineSnapshot(`
    "     0 broken    open until 500 (1), admits none
       500 trial     half-open (1), admits none
     10499 look      half-open (1), admits none
     10500 look      half-open (1), admits trial
     10500 trial     half-open (1), admits none
     10600 answered  closed 10%, admits all"
  `);
});
