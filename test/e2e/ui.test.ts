/** The web UI in a real browser, at an agent and through the gateway. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Browser, type BrowserPage, startBrowser } from './browser.ts';
import { type DevAgent, startDevAgent, startTestGateway, type TestGateway } from './gateway-process.ts';
import { hasTool } from './tools.ts';

describe.skipIf(!hasTool('chromium'))('the web UI', () => {
  let agent: DevAgent;
  let gateway: TestGateway;
  let browser: Browser;
  let page: BrowserPage;

  beforeAll(async () => {
    [agent, browser] = await Promise.all([startDevAgent(), startBrowser()]);
    gateway = await startTestGateway(agent.url);
    page = browser.page;
  });

  afterAll(async () => {
    await browser?.close();
    await gateway?.process.stop('SIGKILL');
    await agent?.process.stop('SIGKILL');
  });

  const shows = (text: string) =>
    page.until(
      `the page to show ${text}`,
      `document.querySelector('main')?.innerText.includes(${JSON.stringify(text)})`,
    );
  const stored = async (path: string) => (await fetch(`${agent.url}/v1/kv/${path}?raw`)).text();
  const put = (path: string, body: string) => fetch(`${agent.url}/v1/${path}`, { method: 'PUT', body });
  const button = (label: string) =>
    `[...document.querySelectorAll('button')].find((b) => b.innerText === '${label}')`;
  /** Presses a button by its label, once it can be pressed. */
  const press = async (label: string) => {
    await page.until(`a button ${label}`, `${button(label)} && !${button(label)}.disabled`);
    await page.evaluate(`(() => { const found = ${button(label)}; found.focus(); found.click(); })()`);
  };
  const path = () => page.evaluate<string>('location.pathname');

  test('an agent’s root leads to its services, which appear and change as they happen', async () => {
    const check = '"Check":{"CheckID":"web-ttl","TTL":"1h","Status":"passing"}';
    await put(
      'agent/service/register',
      `{"ID":"web-1","Name":"web","Port":80,"Tags":["<b>v1</b>"],${check}}`,
    );
    await page.open(`${agent.url}/`);
    await shows('web');
    await shows('<b>v1</b>');
    expect(await path()).toBe('/ui/dc1/services');
    await put('agent/service/register', '{"Name":"redis","Port":6379}');
    await shows('redis');
    await page.click('a[href="/ui/dc1/services/web"]');
    await shows('127.0.0.1:80');
    expect(await page.evaluate('document.activeElement.innerText')).toBe('web');
    await put('agent/check/update/web-ttl', '{"Status":"critical","Output":"<i>down</i>"}');
    await shows('1 critical');
    await shows('<i>down</i>');
    await page.evaluate('history.back()');
    await shows('redis');
    expect(await path()).toBe('/ui/dc1/services');
  });

  test('nodes and members of the pool, through the gateway', async () => {
    await page.open(`${gateway.url}/ui/dc1/nodes`);
    await shows('leader');
    await page.click('a[href="/ui/dc1/nodes/dev1"]');
    await shows('Serf Health Status');
    await page.open(`${gateway.url}/ui/dc1/members`);
    await shows('alive');
    await shows('Raft applied index');
  });

  test('a key is created, changed and deleted through the gateway', async () => {
    await page.open(`${gateway.url}/ui/dc1/kv/`);
    await page.click('a[href="/ui/dc1/kv/create"]');
    await page.type('#name', 'app/greeting & more');
    await page.type('#value', 'hello, wörld');
    await press('Create key');
    await shows('ModifyIndex');
    expect(await path()).toBe('/ui/dc1/kv/app/greeting%20%26%20more/edit');
    expect(await stored('app/greeting%20%26%20more')).toBe('hello, wörld');

    await page.type('#value', 'changed');
    await page.type('#flags', '18446744073709551615');
    await press('Save');
    await page.until('the notice', `document.querySelector('.notice').innerText.includes('Saved')`);
    const entry = await (await fetch(`${agent.url}/v1/kv/app/greeting%20%26%20more`)).text();
    expect(entry).toContain('18446744073709551615');
    await page.until('the saved value to be the stored one', `${button('Save')}.disabled`);

    await press('Delete key');
    await press('Cancel');
    expect(await stored('app/greeting%20%26%20more')).toBe('changed');
    await page.until('the dialog to close', `!document.querySelector('dialog')`);
    await press('Delete key');
    await page.until('the question', `document.querySelector('dialog[open]')`);
    await page.evaluate(`document.querySelector('dialog .danger').click()`);
    await shows('This folder is empty');
    expect(await path()).toBe('/ui/dc1/kv/app/');
  });

  test('a value that someone else changed meanwhile is not overwritten', async () => {
    await put('kv/shared', 'one');
    await page.open(`${gateway.url}/ui/dc1/kv/shared/edit`);
    await page.type('#value', 'mine');
    await put('kv/shared', 'theirs');
    await shows('changed elsewhere');
    await press('Save');
    await shows('not saved');
    expect(await stored('shared')).toBe('theirs');
    await press('Load stored value');
    await page.until('the stored value', `document.querySelector('#value').value === 'theirs'`);
  });

  test('the token stays in the tab and goes along with requests', async () => {
    await page.open(`${agent.url}/ui/dc1/services`);
    await press('Token');
    await page.type('#token', 'no-such-token');
    await press('Use token');
    await page.until('the token to be set', button('Token set'));
    expect(await page.evaluate('sessionStorage.getItem("proconsul.token")')).toBe('no-such-token');
    expect(await page.evaluate('document.activeElement.innerText')).toBe('Token set');
    await press('Token set');
    await press('Forget it');
    await page.until('the token to be forgotten', button('Token'));
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('all of it is below 60 KB', async () => {
    const sizes = await page.evaluate<number[]>(`Promise.all(
      ['', 'app.js', 'app.css', 'favicon.svg'].map(async (name) => (await (await fetch('/ui/' + name)).text()).length),
    )`);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(60_000);
  });

  test('nothing that the browser had to refuse or report', () => {
    // A key that isn't there is an answer to the UI and an error to the browser's log.
    expect(page.complaints.filter((text) => !text.includes('status of 404'))).toEqual([]);
  });
});
