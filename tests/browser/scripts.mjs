// Meets maintenance in mid-session with htmx, Turbo, Inertia and `fetch`.
//
//   node scripts.mjs CHROMIUM_PATH OUTPUT_DIR BASE_URL
//
// Prints one line of JSON per check, and exits 1 if any of them failed. The libraries are
// those that npm installed here. The app at BASE_URL is that of tests/browser.rs: each
// page says in `#app` which one it is, and loads `/lib/…`. GET on `MAINT_TEST_CONTROL` + `/WAY`
// opens a window: `all`, `part` (for `/part/…` alone) or `read-only`; `/off` closes all.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const [executablePath, output, base] = process.argv.slice(2);
const control = process.env.MAINT_TEST_CONTROL;
const timeout = 60_000;

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

async function turn(way) {
  expect((await fetch(`${control}/${way}`)).ok, `the switch does not turn ${way}`);
}

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });

/** A page of the app, whose libraries come from disk: the app stands for none of them. */
async function open(path) {
  const page = await (await browser.newContext({ locale: 'en-GB' })).newPage();
  page.setDefaultTimeout(timeout);
  page.loads = 0;
  page.on('request', (request) => {
    if (request.isNavigationRequest() && request.frame() === page.mainFrame()) page.loads += 1;
  });
  await page.route(`${base}/lib/**`, (route) => {
    const file = new URL(route.request().url()).pathname.slice('/lib/'.length);
    return route.fulfill({ path: join('node_modules', file) });
  });
  await page.goto(base + path);
  await page.waitForFunction(() => window.ready === true);
  return page;
}

const at = (page, path) => page.waitForURL(base + path, { timeout });
const isDown = (page) => page.getByRole('heading', { name: 'Down for maintenance' }).waitFor();
const isApp = (page, name) => page.locator('#app', { hasText: name }).waitFor();

/** The page is shown where the visitor was or wanted to go, and they get there when all is over. */
async function comesBack(page, path, name) {
  await isDown(page);
  await at(page, path);
  await turn('off');
  await isApp(page, name);
  await at(page, path);
  await page.context().close();
}

/** The answer says that the form was not processed, and leads back to it as it was. */
async function isUnsent(page, heading) {
  await page.getByRole('heading', { name: heading }).waitFor();
  await page.getByText('What you sent has not been processed.').waitFor();
  await page.screenshot({ path: join(output, `unsent-${page.loads}.png`) });
  await page.getByRole('button', { name: 'Go back' }).click();
  if (heading === 'Down for maintenance') {
    // A browser that kept no copy of the form asks for it again.
    await page.waitForFunction(() => !location.search);
    await turn('off');
  }
  await page.waitForFunction(() => document.querySelector('input[name=note]') !== null);
}

const checks = {
  async 'htmx: a click shows the page, which comes back'() {
    const page = await open('/htmx');
    await turn('all');
    await page.click('#rows');
    await comesBack(page, '/htmx', 'htmx');
  },
  async 'htmx: a boosted link leads where it says'() {
    const page = await open('/htmx');
    await turn('all');
    await page.click('#next');
    await comesBack(page, '/next', 'next');
  },
  async 'htmx: a part that is down does not load its page again and again'() {
    const page = await open('/htmx');
    await turn('part');
    const errors = page.evaluate(() => new Promise((done) => {
      let number = 0;
      document.body.addEventListener('htmx:responseError', () => (number += 1) === 3 && done(number));
    }));
    for (let click = 0; click < 3; click += 1) {
      const answered = page.waitForResponse(`${base}/part/rows`);
      await page.click('#rows');
      expect((await answered).status() === 503, 'the part is not down');
    }
    expect(await errors === 3 && page.loads === 1, `loaded ${page.loads} times`);
    await turn('off');
    await page.click('#rows');
    await page.getByText('the rows').waitFor();
    await page.context().close();
  },
  async 'htmx: a form is not processed, and the page says so'() {
    for (const [way, heading] of [['all', 'Down for maintenance'], ['read-only', 'Read-only for now']]) {
      const page = await open('/htmx');
      await page.fill('input[name=note]', 'typed');
      await turn(way);
      await page.click('#send');
      await isUnsent(page, heading);
      await turn('off');
      await page.context().close();
    }
  },
  async 'Turbo: a link leads where it says, by the browser itself'() {
    const page = await open('/turbo');
    await turn('all');
    await page.click('#next');
    await comesBack(page, '/next', 'next');
  },
  async 'Turbo: a frame shows the page in place of its page'() {
    const page = await open('/turbo');
    await turn('all');
    await page.click('#rows');
    await comesBack(page, '/turbo', 'turbo');
  },
  async 'Turbo: a frame that is down alone says so in its place'() {
    const page = await open('/turbo');
    await turn('part');
    await page.click('#rows');
    await page.locator('turbo-frame#frame', { hasText: 'Down for maintenance' }).waitFor();
    expect(!(await page.textContent('body')).includes('Content missing'), 'the frame is missing');
    expect(page.loads === 1, `loaded ${page.loads} times`);
    await isApp(page, 'turbo');
    await turn('off');
    await page.context().close();
  },
  async 'Turbo: a form stays with what was typed, and a notice says that it was not processed'() {
    for (const way of ['all', 'read-only']) {
      for (const form of ['#send', '#send-in-frame']) {
        const page = await open('/turbo');
        await page.fill('input[name=note]', 'typed');
        await turn(way);
        await page.click(form);
        const notice = page.getByRole('dialog');
        await notice.getByText('What you sent has not been processed.').waitFor();
        await page.screenshot({ path: join(output, `turbo-${way}.png`) });
        expect(await page.inputValue('input[name=note]') === 'typed', 'what was typed is gone');
        await notice.getByRole('button', { name: 'OK' }).click();
        await notice.waitFor({ state: 'hidden' });
        expect(page.loads === 1, `loaded ${page.loads} times`);
        await turn('off');
        await page.context().close();
      }
    }
  },
  async 'Inertia: a visit is left to the browser'() {
    const page = await open('/inertia');
    await turn('all');
    await page.evaluate(() => window.router.visit('/next?page=2'));
    await comesBack(page, '/next?page=2', 'next');
  },
  async 'Inertia: a form is not processed, and the page says so'() {
    for (const [way, heading] of [['all', 'Down for maintenance'], ['read-only', 'Read-only for now']]) {
      const page = await open('/inertia');
      await page.fill('input[name=note]', 'typed');
      await turn(way);
      await page.evaluate(() => window.router.post('/cart', { note: 'typed' }));
      await isUnsent(page, heading);
      expect(await page.locator('iframe').count() === 0, 'there is a dialogue of Inertia');
      await turn('off');
      await page.context().close();
    }
  },
  async 'fetch: a script that says nothing gets JSON'() {
    const page = await open('/htmx');
    await turn('all');
    const answers = await page.evaluate(async () => {
      const ask = async (options) => {
        const answer = await fetch('/api', options);
        return { status: answer.status, ...await answer.json() };
      };
      const sent = { method: 'POST', body: '{}', headers: { 'Content-Type': 'application/json' } };
      return [await ask({}), await ask(sent)];
    });
    expect(answers.every(({ status, title }) => status === 503 && title === 'Down for maintenance'), JSON.stringify(answers));
    await turn('off');
    await page.context().close();
  },
};

await mkdir(output, { recursive: true });
// One after the other, since there is one switch.
for (const [check, body] of Object.entries(checks)) {
  const began = Date.now();
  try {
    await turn('off');
    await body();
    console.log(JSON.stringify({ check, ok: true, seconds: Math.round((Date.now() - began) / 1000) }));
  } catch (error) {
    console.log(JSON.stringify({ check, ok: false, error: error.message }));
    process.exitCode = 1;
  }
}
await browser.close();
